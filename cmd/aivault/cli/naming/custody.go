package naming

import "strings"

// Keeper says where this machine reaches a keeper of keys.
type Keeper struct {
	Local string    // a keeper in this directory, absolute; "" if in a store
	Store *Location // a keeper in this store
}

// ParseKeeper reads local:DIR or object:STORE-URL.
func ParseKeeper(spec string) (Keeper, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	switch {
	case kind == "local" && rest != "":
		l, err := ParseLocation(rest, nil)
		if err != nil {
			return Keeper{}, err
		}
		if l.Dir == "" {
			return Keeper{}, invalid("local:DIR keeps keys in a directory; for a bucket write object:s3://…")
		}
		return Keeper{Local: l.Dir}, nil
	case kind == "object" && rest != "":
		l, err := ParseLocation(rest, nil)
		if err != nil {
			return Keeper{}, err
		}
		return Keeper{Store: &l}, nil
	case kind == "plugin", strings.HasPrefix(spec, "any-of("), strings.HasPrefix(spec, "all-of("):
		return Keeper{}, invalid("keepers in plugins and several keepers together are not supported by this version; use local:DIR or object:STORE-URL")
	}
	return Keeper{}, invalid("a keeper is local:DIR or object:STORE-URL")
}

// String is the canonical spelling, which ParseKeeper takes.
func (k Keeper) String() string {
	if k.Store != nil {
		return "object:" + k.Store.String()
	}
	return "local:" + k.Local
}
