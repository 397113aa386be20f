package store

import "net/url"

// A Location is where a bucket URL points to, for those who tell others of it
// instead of opening it.
type Location struct {
	// Scheme is s3, gs, azblob or file.
	Scheme string
	// Bucket is the bucket or container; Dir the absolute path of a directory,
	// with slashes.
	Bucket, Dir string
	// Prefix is what all keys begin with: "", or ending in "/".
	Prefix string
	// Region, Endpoint (scheme and host) and Account are what the parameters of
	// the URL say; each empty if they say nothing.
	Region, Endpoint, Account string
}

// Locate takes a bucket URL, or the path of a directory, apart as [Open] does.
// Nothing is opened. Errors are *[Error].
func Locate(rawURL string) (Location, error) {
	t, err := parse(rawURL)
	if err != nil {
		return Location{}, err
	}
	l := Location{
		Scheme: t.scheme, Bucket: t.bucket, Dir: t.dir, Prefix: t.prefix,
		Region: t.query.Get("region"), Account: t.query.Get("storage_account"), Endpoint: t.query.Get("endpoint"),
	}
	if u, err := url.Parse(l.Endpoint); err == nil && u.Host != "" {
		l.Endpoint = u.Scheme + "://" + u.Host
	}
	return l, nil
}
