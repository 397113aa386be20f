package genesys

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// regions returns the domain of each region, by the name of its AWS region.
func regions() map[string]string {
	return map[string]string{
		"us-east-1":      "mypurecloud.com",
		"us-east-2":      "use2.us-gov-pure.cloud",
		"us-west-2":      "usw2.pure.cloud",
		"ca-central-1":   "cac1.pure.cloud",
		"mx-central-1":   "mxc1.pure.cloud",
		"sa-east-1":      "sae1.pure.cloud",
		"eu-west-1":      "mypurecloud.ie",
		"eu-west-2":      "euw2.pure.cloud",
		"eu-central-1":   "mypurecloud.de",
		"eu-central-2":   "euc2.pure.cloud",
		"eusc-de-east-1": "edee1.eusc-pure.cloud",
		"me-central-1":   "mec1.pure.cloud",
		"ap-northeast-1": "mypurecloud.jp",
		"ap-northeast-2": "apne2.pure.cloud",
		"ap-northeast-3": "apne3.pure.cloud",
		"ap-south-1":     "aps1.pure.cloud",
		"ap-southeast-1": "apse1.pure.cloud",
		"ap-southeast-2": "mypurecloud.com.au",
	}
}

// Regions returns the names of the known regions, sorted.
func Regions() []string { return slices.Sorted(maps.Keys(regions())) }

// Hosts returns the base URLs of the API and of the login service of a region.
// The region is the name of an AWS region ("eu-central-1"), a domain
// ("mypurecloud.de", "example.pure.cloud"; a leading api., login. or apps. is
// taken off), or a URL. A URL of a host that does not begin with api. or login.
// stands for both services, as with a simulator ("http://127.0.0.1:8080").
func Hosts(region string) (apiURL, loginURL string, err error) {
	name := strings.ToLower(strings.TrimSpace(region))
	if name == "" {
		return "", "", errors.New("the region is empty: want an AWS region such as us-east-1, or a domain such as mypurecloud.com")
	}
	if strings.Contains(name, "://") {
		return hostsOfURL(name)
	}
	name = strings.TrimRight(name, "/.")
	if domain, ok := regions()[strings.ReplaceAll(name, "_", "-")]; ok {
		name = domain
	}
	if !strings.Contains(name, ".") {
		return "", "", unknownRegion(region, name)
	}
	name = trimService(name)
	if !validDomain(name) {
		return "", "", fmt.Errorf("%q is neither a region nor a domain", region)
	}
	return "https://api." + name, "https://login." + name, nil
}

// hostsOfURL is Hosts for a region given as a URL.
func hostsOfURL(raw string) (apiURL, loginURL string, err error) {
	u, err := baseURL(raw)
	if err != nil {
		return "", "", err
	}
	domain := trimService(u.Host)
	if domain == u.Host {
		return u.String(), u.String(), nil
	}
	api, login := *u, *u
	api.Host, login.Host = "api."+domain, "login."+domain
	return api.String(), login.String(), nil
}

// baseURL reads the URL that the paths of a service are appended to.
func baseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("not a URL of the form https://host") // the text may hold a password
	case u.User != nil:
		return nil, fmt.Errorf("the URL of %s holds a user name or password: credentials do not belong there", u.Host)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the URL of %s holds a query or fragment", u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

// trimService takes the name of a service off a host name.
func trimService(host string) string {
	for _, service := range []string{"api.", "login.", "apps."} {
		if domain, ok := strings.CutPrefix(host, service); ok {
			return domain
		}
	}
	return host
}

// validDomain reports whether name is made of two or more labels of letters,
// digits and hyphens.
func validDomain(name string) bool {
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(labels) > 1
}

// unknownRegion names the nearest region, if one is near, and all of them.
func unknownRegion(given, name string) error {
	known := Regions()
	nearest := slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
	hint := ""
	if distance(name, nearest) <= 3 {
		hint = fmt.Sprintf("; did you mean %s?", nearest)
	}
	return fmt.Errorf("unknown region %q%s (known: %s; or give a domain such as mypurecloud.com)",
		clean(given, 60), hint, strings.Join(known, ", "))
}

// distance is the number of insertions, deletions and substitutions of bytes
// between two short texts (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
