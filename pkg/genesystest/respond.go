package genesystest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// An errorBody is the platform's form of every error but those of OAuth.
type errorBody struct {
	Message   string            `json:"message"`
	Code      string            `json:"code"`
	Status    int               `json:"status"`
	ContextID string            `json:"contextId"`
	Details   []struct{}        `json:"details"`
	Errors    []struct{}        `json:"errors"`
	With      string            `json:"messageWithParams,omitempty"`
	Params    map[string]string `json:"messageParams,omitempty"`
	Limit     *limitEntity      `json:"limit,omitempty"`
}

// fail makes an error answer.
func (x *exchange) fail(status int, code, message string) answer {
	return x.failWith(errorBody{Status: status, Code: code, Message: message})
}

func (x *exchange) failWith(e errorBody) answer {
	e.ContextID = x.id
	e.Details, e.Errors = []struct{}{}, []struct{}{}
	return answer{status: e.Status, body: encode(e)}
}

// ok makes an answer of a value.
func ok(v any) answer { return answer{status: 200, body: encode(v)} }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("genesystest: " + err.Error()) // only our own types come here
	}
	return b
}

// strictJSON decodes exactly one value that has no unknown member: a misspelt
// parameter is an error here, where the real API may silently ignore it.
func strictJSON(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errNoBody
	}
	return nil
}

func (x *exchange) notFound() answer { return x.fail(404, "not.found", "HTTP 404 Not Found") }

func (x *exchange) wrongMethod(want string) answer {
	a := x.fail(405, "method.not.allowed", "HTTP 405 Method Not Allowed")
	a.header = map[string]string{"Allow": want}
	return a
}

// invalid is the answer to a value that is not one of an enumeration.
func (x *exchange) invalid(value, kind string, allowed ...string) answer {
	return x.fail(400, "invalid.value", fmt.Sprintf(
		"Value [%s] is not valid for field type [%s]. Allowable values are: %s", value, kind, strings.Join(allowed, ", ")))
}

const (
	permissionAll   = "analytics:conversationDetail:view"
	permissionAgent = "analytics:agentConversationDetail:view"
)

// allowed checks that the client has one of some permissions.
func (x *exchange) allowed(anyOf ...string) *answer {
	for _, have := range x.s.opt.Permissions {
		for _, want := range anyOf {
			if have == want {
				return nil
			}
		}
	}
	list := "[" + strings.Join(anyOf, ", ") + "]"
	e := errorBody{
		Status:  403,
		Code:    "missing.any.permissions",
		Message: "Unable to perform the requested action. You must have at least one of the following permissions assigned: " + list,
		With:    "Unable to perform the requested action. You must have at least one of the following permissions assigned: {permissions}",
		Params:  map[string]string{"permissions": list},
	}
	if len(anyOf) == 1 {
		e.Code = "missing.permissions"
		e.Message = "Unable to perform the requested action. You are missing the following permission(s): " + anyOf[0]
		e.With = "Unable to perform the requested action. You are missing the following permission(s): {permissions}"
		e.Params = map[string]string{"permissions": anyOf[0]}
	}
	a := x.failWith(e)
	return &a
}
