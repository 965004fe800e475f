package custody

import "fmt"

// CheckLabel reports, as [ErrInvalid], a label that is not 1 to MaxLabel bytes
// of [a-z0-9-].
func CheckLabel(label string) error {
	if label == "" {
		return fmt.Errorf("empty label: %w", ErrInvalid)
	}
	return CheckLabelPrefix(label)
}

// CheckLabelPrefix is CheckLabel for what a listing starts with: any beginning
// of a label, the empty one included.
func CheckLabelPrefix(prefix string) error {
	if len(prefix) > MaxLabel {
		return fmt.Errorf("label of %d bytes: at most %d: %w", len(prefix), MaxLabel, ErrInvalid)
	}
	for i := range len(prefix) {
		if c := prefix[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("label %q: byte %d is not in [a-z0-9-]: %w", prefix, i, ErrInvalid)
		}
	}
	return nil
}

// CheckRef reports, as [ErrInvalid], a ref that no keeper issues: one that is
// not 1 to MaxRef printable ASCII bytes without spaces.
func CheckRef(ref KeyRef) error {
	if len(ref) == 0 || len(ref) > MaxRef {
		return fmt.Errorf("key ref of %d bytes: it must be 1 to %d: %w", len(ref), MaxRef, ErrInvalid)
	}
	for i := range len(ref) {
		if c := ref[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("key ref %q: byte %d is not printable ASCII: %w", ref, i, ErrInvalid)
		}
	}
	return nil
}

// CheckSecret reports, as [ErrInvalid], a secret that is not 1 to MaxSecret
// bytes long.
func CheckSecret(secret []byte) error {
	if len(secret) == 0 || len(secret) > MaxSecret {
		return fmt.Errorf("secret of %d bytes: it must be 1 to %d: %w", len(secret), MaxSecret, ErrInvalid)
	}
	return nil
}
