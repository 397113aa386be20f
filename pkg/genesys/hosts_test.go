package genesys

import (
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	for _, tc := range []struct{ name, region, api, login string }{
		{"aws name", "eu-central-1", "https://api.mypurecloud.de", "https://login.mypurecloud.de"},
		{"government", "us-east-2", "https://api.use2.us-gov-pure.cloud", "https://login.use2.us-gov-pure.cloud"},
		{"sovereign", "eusc-de-east-1", "https://api.edee1.eusc-pure.cloud", "https://login.edee1.eusc-pure.cloud"},
		{"as the tools write it", " US_EAST_1 ", "https://api.mypurecloud.com", "https://login.mypurecloud.com"},
		{"domain", "mypurecloud.com.au", "https://api.mypurecloud.com.au", "https://login.mypurecloud.com.au"},
		{"free domain", "example.pure.cloud", "https://api.example.pure.cloud", "https://login.example.pure.cloud"},
		{"api host", "api.mypurecloud.ie/", "https://api.mypurecloud.ie", "https://login.mypurecloud.ie"},
		{"url of the login host", "https://login.mypurecloud.jp/", "https://api.mypurecloud.jp", "https://login.mypurecloud.jp"},
		{"url of a simulator", "http://127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"url with a path", "https://gateway.example.com/genesys/", "https://gateway.example.com/genesys", "https://gateway.example.com/genesys"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			api, login, err := Hosts(tc.region)
			if api != tc.api || login != tc.login || err != nil {
				t.Errorf("Hosts(%q) = %q, %q, %v", tc.region, api, login, err)
			}
		})
	}
}

func TestHostsErrors(t *testing.T) {
	for _, tc := range []struct{ name, region, want string }{
		{"empty", "  ", "the region is empty"},
		{"typo", "eu-centrl-1", "did you mean eu-central-1?"},
		{"unknown", "us-central-7", "known: ap-northeast-1, "},
		{"not near anything", "frankfurt", "unknown region \"frankfurt\" (known"},
		{"not a domain", "exa mple.com", "neither a region nor a domain"},
		{"empty label", "a..b", "neither"},
		{"scheme", "ftp://example.com", "https://host"},
		{"query", "https://example.com/?x=1", "query"},
		{"credentials", "https://me:hunter2@example.com", "credentials do not belong"},
		{"broken url", "https://me:hunter2@exa mple.com", "https://host"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := Hosts(tc.region)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("Hosts(%q): %v, want %q in it", tc.region, err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

func TestRegions(t *testing.T) {
	if n := len(Regions()); n != 18 {
		t.Errorf("%d regions, want the 18 of the platform", n)
	}
	domains := map[string]bool{}
	for _, name := range Regions() {
		api, _, err := Hosts(name)
		if err != nil || domains[api] {
			t.Errorf("%s: %q, %v", name, api, err)
		}
		domains[api] = true
	}
}
