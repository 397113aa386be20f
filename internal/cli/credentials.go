package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/gcexport/gcexport/pkg/genesys"
)

// The environment variables of the credentials are named as the official tools
// name them. Each is also read from a file, whose path is in the variable with
// _FILE appended, as Kubernetes mounts secrets. Where there are several clients,
// those but the first have their number appended to the name: _2, _2_FILE. There is no flag for them: a
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
		data, err := readSecret(path)
		if err != nil {
			return "", usageError(fmt.Sprintf("%s_FILE: %v", name, err), "it must name a file that holds the value alone")
		}
		if value = strings.TrimSpace(string(data)); value == "" {
			return "", usageError(fmt.Sprintf("%s_FILE: %s is empty", name, path), "it must name a file that holds the value alone")
		}
	}
	if strings.ContainsAny(value, "\r\n\t ") {
		return "", usageError(fmt.Sprintf("the value of %s has blanks or line breaks inside", name), "it must be the bare value, without quotes or other lines")
	}
	return value, nil
}

// maxSecret bounds what is read of a file with an id or a secret.
const maxSecret = 64 << 10

// readSecret reads a file with an id or a secret.
func readSecret(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readUpTo(file, maxSecret)
}

// readUpTo reads all there is, which must not be more than so many bytes.
func readUpTo(r io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	return data, err
}

// mostClients is how many OAuth clients may be given.
const mostClients = 10

// numbered is the variable of the nth client: the first has the bare name, the
// second the name with _2 appended.
func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	return name + "_" + strconv.Itoa(n)
}

// credentials are id and secret of an OAuth client.
type credentials struct {
	id     string
	secret genesys.Secret
}

// credentials reads those of all clients that are given: one, or several with
// an allowance each.
func (p *Process) credentials() ([]credentials, error) {
	var all []credentials
	for n := 1; n <= mostClients; n++ {
		c, err := p.client(n)
		if err != nil {
			return nil, err
		}
		if c.id == "" { // then no other may follow
			continue
		}
		if len(all) < n-1 {
			return nil, usageError(fmt.Sprintf("%s is set, and %s is not", numbered(envClientID, n), numbered(envClientID, n-1)),
				"number the clients without a gap: the first has no number, the second is _2")
		}
		for i, other := range all {
			if other.id == c.id {
				return nil, usageError(fmt.Sprintf("%s and %s are the same client", numbered(envClientID, i+1), numbered(envClientID, n)),
					"a client has one allowance, however often it is given: create another one, or leave it out")
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// client reads the credentials of the nth client. Both parts must be there; of
// clients but the first, both may be missing.
func (p *Process) client(n int) (credentials, error) {
	names := [2]string{numbered(envClientID, n), numbered(envClientSecret, n)}
	var values [2]string
	for i, name := range names {
		var err error
		if values[i], err = p.secretEnv(name); err != nil {
			return credentials{}, err
		}
	}
	if n > 1 && values[0] == "" && values[1] == "" {
		return credentials{}, nil
	}
	for i, name := range names {
		if values[i] == "" {
			return credentials{}, usageError(name+" is not set",
				"set "+names[0]+" and "+names[1]+" (or the same with _FILE) to those of an OAuth client with the client credentials grant")
		}
	}
	return credentials{values[0], genesys.NewSecret(values[1])}, nil
}
