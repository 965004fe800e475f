//go:build !unix

package machine

// syncDir does nothing: this system makes names durable with the file.
func syncDir(string) error { return nil }
