package store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/gcexport/gcexport/internal/store/dirblob"
)

// explainFile knows the errors of a directory.
func explainFile(err error) *Error {
	var pe *fs.PathError
	where := "the directory"
	if errors.As(err, &pe) {
		where = oneLine(pe.Path)
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &Error{Kind: Other, Message: "no space left for " + where, Hint: "free some space, then start again: what is committed is kept"}
	case errors.Is(err, dirblob.ErrLink):
		return &Error{Kind: Config, Message: where + " is a link to a directory", Hint: "within a bucket there may be none: give the directory that is meant, or mount it there"}
	case errors.Is(err, syscall.EROFS):
		return &Error{Kind: Denied, Message: where + " is on a read-only file system"}
	case errors.Is(err, syscall.ENOTDIR):
		return &Error{Kind: Config, Message: where + " lies below a file, not below a directory", Hint: "check the path"}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Kind: Denied, Message: "no permission for " + where, Hint: "the directory must be readable and writable for this user"}
	case errors.Is(err, fs.ErrNotExist) && pe != nil:
		return &Error{Kind: NotFound, Message: where + " does not exist", Hint: "check the path, and whether this user may make it"}
	}
	return nil
}

// explainNet knows the errors of the way to a store.
func explainNet(err error) *Error {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		ca   x509.UnknownAuthorityError
		op   *net.OpError
	)
	switch {
	case errors.As(err, &cert), errors.As(err, &ca):
		return &Error{Kind: Config, Message: "the certificate of the store is not trusted", Hint: "give the authority by SSL_CERT_FILE (or AWS_CA_BUNDLE for S3)"}
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return &Error{Kind: Config, Message: "the store speaks HTTP, not HTTPS", Hint: "write http:// in the endpoint (S3) or protocol=http (Azure)"}
	case errors.As(err, &dns):
		return &Error{Kind: Unreachable, Message: fmt.Sprintf("host %s cannot be resolved", dns.Name), Hint: "check the region, the endpoint or the storage account, and the network"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Error{Kind: Unreachable, Message: "connection refused" + address(err), Hint: "check the endpoint; nothing answers there"}
	case isDeadline(err):
		return &Error{Kind: Unreachable, Message: "no answer from the store in time", Hint: "check the endpoint, the network and proxies"}
	case errors.As(err, &op):
		return &Error{Kind: Unreachable, Message: "the connection to the store broke: " + oneLine(op.Err.Error()), Hint: "try again"}
	}
	return nil
}

// address tells whom a failed connection was for.
func address(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return " by " + op.Addr.String()
	}
	return ""
}
