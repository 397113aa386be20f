package store

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// target is a bucket URL, taken apart and found good.
type target struct {
	scheme string
	bucket string // of a cloud
	dir    string // of a directory: absolute, with the prefix
	prefix string // "" or ending in "/"; of a cloud
	query  url.Values
}

// name is the target for people.
func (t *target) name() string {
	if t.scheme == "file" {
		return fileURL(t.dir)
	}
	return t.scheme + "://" + t.bucket + strings.TrimSuffix("/"+t.prefix, "/")
}

// fileURL is the URL of a directory, which parse takes for the same.
func fileURL(dir string) string {
	return "file://" + (&url.URL{Path: filepath.ToSlash(dir)}).EscapedPath()
}

// scheme is what a URL scheme may look like.
type scheme struct {
	bucket *regexp.Regexp
	params []string
}

// schemeOf describes the URLs of each cloud. Parameters that gocloud knows but
// that cannot be meant here are left out: those for signed URLs, and gRPC on
// Google Cloud, where appendable objects are visible before they are whole.
func schemeOf(name string) (scheme, bool) {
	switch name {
	case "s3":
		return scheme{regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`), []string{
			"accelerate", "anonymous", "disable_https", "dualstack", "endpoint", "fips", "hostname_immutable", "kmskeyid",
			"prefix", "profile", "rate_limiter_capacity", "region", "request_checksum_calculation",
			"response_checksum_validation", "role", "s3ForcePathStyle", "ssetype", "use_path_style",
		}}, true
	case "gs":
		return scheme{regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`), []string{
			"anonymous", "prefix", "universe_domain",
		}}, true
	case "azblob":
		return scheme{regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`), []string{
			"cdn", "domain", "localemu", "prefix", "protocol", "storage_account",
		}}, true
	}
	return scheme{}, false
}

// parse takes a bucket URL or the path of a directory apart. What is wrong with
// it is said in one line that never repeats a secret.
func parse(raw string) (*target, error) {
	name, _, isURL := strings.Cut(raw, "://")
	if !isURL {
		return parsePath(raw)
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's own words would repeat what may be a secret.
		return nil, badConfig("this is not a URL", "write it as scheme://bucket/prefix; special characters are written as %XX")
	}
	if u.User != nil {
		return nil, badConfig("the URL holds a user name or password", hintCredentials)
	}
	if u.Fragment != "" || strings.HasSuffix(raw, "#") {
		return nil, badConfig(`the URL holds a "#"`, "names in a bucket may hold letters, digits and . _ = - only")
	}
	if u.Scheme == "file" {
		return parseFile(u)
	}
	s, ok := schemeOf(u.Scheme)
	if !ok {
		return nil, badConfig(fmt.Sprintf("URL scheme %q is not known", name), schemeHint(u.Scheme))
	}
	if u.Host == "" {
		return nil, badConfig("the URL names no bucket", "write it as "+u.Scheme+"://bucket/prefix")
	}
	if !s.bucket.MatchString(u.Host) {
		return nil, badConfig("the bucket name in the URL is malformed", "the name stands between "+u.Scheme+":// and the next /, without port or credentials")
	}
	q, err := parameters(u, s.params)
	if err != nil {
		return nil, err
	}
	prefix, err := joinPrefix(u.Path, q.Get("prefix"))
	if err != nil {
		return nil, err
	}
	q.Del("prefix")
	return &target{scheme: u.Scheme, bucket: u.Host, prefix: prefix, query: q}, nil
}

// parameters checks the query parameters against those that are known.
func parameters(u *url.URL, known []string) (url.Values, error) {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, badConfig("the parameters of the URL are malformed", "write them as ?name=value&name=value")
	}
	names := make([]string, 0, len(q))
	for k := range q {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		switch {
		case isSecret(k):
			return nil, badConfig(fmt.Sprintf("the URL holds a secret (parameter %s)", word(k)), hintCredentials)
		case !slices.Contains(known, k):
			return nil, badConfig(fmt.Sprintf("URL parameter %s is not known", word(k)), u.Scheme+":// takes "+strings.Join(known, ", "))
		case len(q[k]) > 1:
			return nil, badConfig(fmt.Sprintf("URL parameter %q is given twice", k), "")
		case q.Get(k) == "":
			return nil, badConfig(fmt.Sprintf("URL parameter %q has no value", k), "leave it out, or write ?"+k+"=value")
		}
	}
	return q, nil
}

// isSecret tells parameters that people paste with the URLs of consoles and
// other tools.
func isSecret(param string) bool {
	p := strings.ToLower(param)
	for _, s := range []string{"x-amz-", "x-goog-", "secret", "password", "token", "accesskey", "access_key", "accountkey", "account_key", "credential", "signature"} {
		if strings.Contains(p, s) {
			return true
		}
	}
	return slices.Contains([]string{"sig", "se", "sp", "sv", "sr", "st", "key", "api_key"}, p)
}

// word quotes a parameter name if it looks like one.
func word(s string) string {
	if len(s) > 40 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "with a strange name"
	}
	return fmt.Sprintf("%q", s)
}

var segment = regexp.MustCompile(`^[A-Za-z0-9._=-]+$`)

// joinPrefix makes one prefix of the path of a URL and its prefix parameter:
// gocloud drops the one and takes the other for the start of a name.
func joinPrefix(paths ...string) (string, error) {
	var all []string
	for _, p := range paths {
		p = strings.Trim(p, "/")
		if p == "" {
			continue
		}
		for s := range strings.SplitSeq(p, "/") {
			if !segment.MatchString(s) || s == "." || s == ".." {
				return "", badConfig(fmt.Sprintf("%q cannot be part of the path of a bucket URL", s),
					"names in a bucket may hold letters, digits and . _ = - only, because loaders see others escaped")
			}
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return strings.Join(all, "/") + "/", nil
}

// parseFile takes a file URL apart. Parameters that say what is done anyway are
// accepted, so that a URL written for gocloud can be used.
func parseFile(u *url.URL) (*target, error) {
	p := u.Path
	if (u.Host != "" && u.Host != "localhost") || p == "" {
		return nil, badConfig("a file URL needs an absolute path", "write file:///absolute/directory, or just ./directory")
	}
	if runtime.GOOS == "windows" {
		p = strings.TrimPrefix(p, "/")
	}
	q, err := parameters(u, []string{"create_dir", "metadata", "no_tmp_dir", "prefix"})
	if err != nil {
		return nil, err
	}
	if m := q.Get("metadata"); m != "" && m != "skip" {
		return nil, badConfig(`URL parameter "metadata" can only be skip`, "directories keep no metadata")
	}
	prefix, err := joinPrefix(q.Get("prefix"))
	if err != nil {
		return nil, err
	}
	return directory(path.Join(p, prefix))
}

// parsePath takes what is no URL for the path of a directory.
func parsePath(raw string) (*target, error) {
	if raw == "" {
		return nil, badConfig("no bucket URL given", "write s3://bucket/prefix, gs://…, azblob://… or ./directory")
	}
	if name, _, ok := strings.Cut(raw, ":"); ok {
		if _, known := schemeOf(name); known || name == "file" {
			return nil, badConfig("the URL lacks the two slashes after "+name+":", "write it as "+name+"://…")
		}
	}
	return directory(filepath.ToSlash(raw))
}

func directory(p string) (*target, error) {
	if strings.ContainsRune(p, 0) {
		return nil, badConfig("the path of the directory is malformed", "")
	}
	abs, err := filepath.Abs(filepath.FromSlash(p))
	if err != nil {
		return nil, Explain(err)
	}
	return &target{scheme: "file", dir: abs}, nil
}

// schemeHint knows how other tools write the same buckets.
func schemeHint(name string) string {
	switch name {
	case "s3a", "s3n":
		return "write s3://bucket/prefix"
	case "gcs", "gcp":
		return "write gs://bucket/prefix"
	case "az", "azure", "abfs", "abfss", "wasb", "wasbs":
		return "write azblob://container/prefix, with the account in AZURE_STORAGE_ACCOUNT"
	case "http", "https":
		return "write s3://bucket/prefix, gs://bucket/prefix or azblob://container/prefix; an endpoint is a parameter: s3://bucket?endpoint=https://host"
	}
	return "known are s3://, gs://, azblob://, file:/// and plain paths of directories"
}
