package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gcexport/gcexport/internal/telemetry"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/interval"
)

// apiFlags are the flags that say which API to read, and how.
type apiFlags struct {
	region, apiURL, loginURL string
	mode                     choiceValue
	rate                     intRange
	pageSize                 intRange
	jobs                     intRange
	reserve                  percentValue
	stall, jobTimeout        lengthValue
	attempts                 int // of a request; 0: the client's default
}

func (f *apiFlags) add(fs *pflag.FlagSet) {
	f.mode = choiceValue{"job", []string{"job", "query"}}
	f.rate = intRange{0, 0, 100_000}
	f.pageSize = intRange{0, 0, 100_000}
	f.jobs = intRange{0, 0, 100}
	f.reserve = percentValue{0, 90}
	f.stall = lengthValue{time.Minute}
	f.jobTimeout = lengthValue{30 * time.Minute}
	fs.StringVar(&f.region, "region", "", "region or domain of the organisation, such as eu-central-1 or mypurecloud.de (also "+envRegion+")")
	fs.StringVar(&f.apiURL, "api-url", "", "base URL of the API, instead of --region")
	fs.StringVar(&f.loginURL, "login-url", "", "base URL of the login host, instead of --region")
	fs.Var(&f.mode, "mode", "job: bulk, with participant attributes; query: fresh, without them")
	fs.Var(&f.rate, "rate", "requests a minute that the token may use, over all shards; 0: the organisation's limit, or 300")
	fs.Var(&f.reserve, "reserve", "share of --rate that is left to other programs in every minute")
	fs.Var(&f.pageSize, "page-size", "conversations a page; 0 means 1000 for jobs and 100 for queries")
	fs.Var(&f.jobs, "jobs", "jobs that the API prepares at once, for this process; 0: a share of the organisation's limit, or 2")
	fs.Var(&f.stall, "stall-timeout", "give up a transfer that makes no progress for so long")
	fs.Var(&f.jobTimeout, "job-timeout", "give up a job that is not ready after so long")
}

// hosts finds the base URLs of API and login.
func (p *Process) hosts(f *apiFlags) (api, login string, err error) {
	region := f.region
	if region == "" && f.apiURL == "" {
		region, _ = p.Getenv(envRegion)
	}
	if region != "" {
		if api, login, err = genesys.Hosts(region); err != nil {
			return "", "", usageError(err.Error(), "see docs/genesys.md for the regions; any domain such as example.pure.cloud is taken too")
		}
	}
	if f.apiURL != "" {
		api = f.apiURL
	}
	if f.loginURL != "" {
		login = f.loginURL
	}
	if api == "" || login == "" {
		return "", "", usageError("the organisation's region is not given", "give --region or "+envRegion+" (or both --api-url and --login-url)")
	}
	return api, login, nil
}

// maxQueryPage is the largest page that the details query accepts.
const maxQueryPage = 100

// connect makes the clients of the API, one for each OAuth client that is given.
// It sends nothing yet. Traces may be nil.
func (p *Process) connect(f *apiFlags, shard export.Shard, out *display, traces *telemetry.Trace) (*genesys.Pool, error) {
	if f.mode.value == "query" && f.pageSize.value > maxQueryPage {
		return nil, usageError(fmt.Sprintf("--page-size %d: the query gives at most %d conversations a page", f.pageSize.value, maxQueryPage), "larger pages need --mode job")
	}
	api, login, err := p.hosts(f)
	if err != nil {
		return nil, err
	}
	all, err := p.credentials()
	if err != nil {
		return nil, err
	}
	_, version := program()
	var clients []*genesys.Client
	for _, cr := range all {
		client, err := genesys.New(genesys.Config{
			APIURL: api, LoginURL: login, ClientID: cr.id, ClientSecret: cr.secret,
			RequestsPerMinute: float64(f.rate.value), Reserve: float64(f.reserve.value) / 100,
			Share:        1 / float64(max(shard.Count, 1)),
			StallTimeout: f.stall.Duration, Attempts: f.attempts,
			Version: version,
			Logger:  out.log, Observe: func(ctx context.Context, x genesys.Exchange) {
				out.exchange(x)
				traces.Exchange(ctx, x)
			},
		})
		if err != nil {
			return nil, usageError(err.Error(), "URLs look like https://api.mypurecloud.com and https://login.mypurecloud.com")
		}
		clients = append(clients, client)
	}
	return genesys.NewPool(clients[0], clients[1:]...), nil
}

// source reads conversations by job or by query.
func (f *apiFlags) source(c *genesys.Pool, l limits) *genesys.Shared {
	if f.mode.value == "query" {
		return c.Queries(genesys.QueryOptions{PageSize: f.pageSize.value})
	}
	return c.Jobs(genesys.JobOptions{PageSize: f.pageSize.value, Timeout: f.jobTimeout.Duration,
		Concurrent: l.jobs, SubmitsPerSecond: l.submits})
}

// ahead is how many chunks are opened while the workers are busy: as many as
// there are jobs in preparation, and as many again that are ready. A query has
// its first page at once, so one of them is enough.
func (f *apiFlags) ahead(l limits) int {
	if f.mode.value == "query" {
		return 1
	}
	return 2 * l.jobs
}

// firstAnswer is how long the API may stay silent before it is called
// unreachable. Later, in a run, there is more patience with it.
const firstAnswer = 10 * time.Second

// reach makes sure that the API can be reached and lets each client in.
func (f *apiFlags) reach(ctx context.Context, api *genesys.Pool, out *display) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(firstAnswer, func() {
		if out.snapshot().answers == 0 {
			cancel(errSilent)
		}
	})
	defer silence.Stop()
	probe := interval.Interval{Start: time.Now().Add(-time.Hour).Truncate(time.Hour)}
	probe.End = probe.Start.Add(time.Minute)
	return api.Each(func(c *genesys.Client) error {
		if f.mode.value == "job" {
			_, err := c.Availability(ctx)
			return err
		}
		for _, err := range c.Queries(genesys.QueryOptions{}).Pages(ctx, probe) {
			return err // one page tells
		}
		return nil
	})
}

var errSilent = errors.New("no answer from the API")

// explainAPI finds the words for an answer of the API that is a refusal.
func explainAPI(err error, api *genesys.Error) *failure {
	f := &failure{code: exitFailed, message: err.Error(), topic: topicAPI, err: err}
	if !api.Fatal() {
		return f
	}
	f.code, f.topic = exitRefused, topicRefused
	number := 1
	if which, ok := errors.AsType[*genesys.ClientError](err); ok {
		number = which.Number
	}
	f.hint = "check " + numbered(envClientID, number) + ", " + numbered(envClientSecret, number) + " and the region: the client must be one for the client credentials grant, and belong to that region"
	if api.Status == http.StatusForbidden {
		f.topic = topicPermission
		f.hint = "give the OAuth client a role with the permission analytics:conversationDetail:view, for all divisions"
	}
	return f
}

// explainConn finds the words for an answer that did not come.
func explainConn(err error) *failure {
	return &failure{code: exitFailed, message: err.Error(), err: err, topic: topicUnreachable, hint: connHint(err)}
}

// connHint says what to look at where no answer came, or none of the API.
func connHint(err error) string {
	var (
		cert *tls.CertificateVerificationError
		dns  *net.DNSError
		op   *net.OpError
	)
	switch proxied := errors.As(err, &op) && op.Op == "proxyconnect"; {
	case errors.As(err, &cert):
		return "if a proxy opens TLS, name its authority in SSL_CERT_FILE; else check --api-url and --login-url"
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "the host speaks HTTP: write http:// in --api-url and --login-url"
	case errors.Is(err, genesys.ErrAnswer):
		return "what answers there is not the API: check the region (or --api-url and --login-url), and proxies that ask for a login"
	case proxied:
		return "the proxy does not answer: check HTTPS_PROXY, and NO_PROXY for hosts that need none"
	case errors.As(err, &dns):
		return "the host's name is not known here: check the region (or --api-url and --login-url), and whether this machine needs HTTPS_PROXY"
	}
	return "check the region (or --api-url and --login-url), the network, and HTTPS_PROXY"
}
