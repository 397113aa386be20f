//go:build !unix || solaris || aix

package dirblob

// lockFile does nothing: NTFS has hard links, so that only exotic file systems
// come here, and they are safe within one process only.
func lockFile(string) (unlock func(), err error) { return func() {}, nil }

// syncDir does nothing: Windows has no such call.
func syncDir(string) error { return nil }
