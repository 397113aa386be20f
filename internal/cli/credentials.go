package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/gcexport/gcexport/pkg/genesys"
)

// The environment variables of the credentials are named as the official tools
// name them. Each is also read from a file, whose path is in the variable with
// _FILE appended, as Kubernetes mounts secrets. There is no flag for them: a
// command line can be read by every process of the machine.
const (
	envClientID     = "GENESYSCLOUD_OAUTHCLIENT_ID"
	envClientSecret = "GENESYSCLOUD_OAUTHCLIENT_SECRET"
	envRegion       = "GENESYSCLOUD_REGION"
)

// secretEnv reads a variable or the file that NAME_FILE points to.
func (p *Process) secretEnv(name string) (string, error) {
	value, set := p.Getenv(name)
	path, fromFile := p.Getenv(name + "_FILE")
	switch {
	case set && value != "" && fromFile && path != "":
		return "", usageError(fmt.Sprintf("both %s and %s_FILE are set", name, name), "set one of them")
	case fromFile && path != "":
		data, err := os.ReadFile(path)
		if err != nil {
			return "", usageError(fmt.Sprintf("%s_FILE: %v", name, err), "it must name a file that holds the value alone")
		}
		value = strings.TrimSpace(string(data))
	}
	if strings.ContainsAny(value, "\r\n\t ") {
		return "", usageError(fmt.Sprintf("the value of %s has blanks or line breaks inside", name), "it must be the bare value, without quotes or other lines")
	}
	return value, nil
}

// credentials reads client id and secret; both must be there.
func (p *Process) credentials() (id string, secret genesys.Secret, err error) {
	id, err = p.secretEnv(envClientID)
	if err != nil {
		return "", genesys.Secret{}, err
	}
	plain, err := p.secretEnv(envClientSecret)
	if err != nil {
		return "", genesys.Secret{}, err
	}
	for name, value := range map[string]string{envClientID: id, envClientSecret: plain} {
		if value == "" {
			return "", genesys.Secret{}, usageError(name+" is not set",
				"set "+envClientID+" and "+envClientSecret+" (or the same with _FILE) to those of an OAuth client with the client credentials grant")
		}
	}
	return id, genesys.NewSecret(plain), nil
}
