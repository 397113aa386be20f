package genesystest

import (
	"errors"
	"fmt"
	"time"
)

// Sizes of records.
const (
	// SizeNormal is the shape and size of real records: half of them below 8 KB.
	SizeNormal = "normal"
	// SizeSmall is some 500 bytes a record, for tests that are about counts.
	SizeSmall = "small"
)

// Options describe an organisation and how its API behaves. The zero value is
// a well-behaved API over two years of data; every field is one deviation.
// Where the real API is known to do one thing, there is no option for another.
type Options struct {
	// Data.

	// Seed decides all data. The same seed gives the same conversations on
	// every platform and in every run.
	Seed uint64
	// From and To bound when conversations start: [From, To). By default from
	// two years before the server is made until that moment.
	From, To time.Time
	// PerDay is how many conversations start on an average day; 0 means 2000.
	// A week has busy and quiet days, a day has busy and quiet hours.
	PerDay int
	// Flat has exactly PerDay conversations start each day, spread evenly.
	Flat bool
	// Size of a record: SizeNormal (the default) or SizeSmall.
	Size string
	// LargeEvery makes one of so many records large (50 to 500 KB); 0 means
	// 4000, negative never. LargeBytes sets their size, roughly.
	LargeEvery, LargeBytes int
	// ExtraFields adds fields that no documentation knows, to records and to
	// pages; among them one that looks like the array of records.
	ExtraFields bool
	// FlawedEvery makes one of so many records hold something that JSON allows
	// and loaders refuse: an escaped NUL or half of a surrogate pair, a number
	// beyond float64, a key twice. 0 means never.
	FlawedEvery int
	// AsOf is the moment as of which conversations are known: what ends later
	// is still open, what is evaluated later not yet so. By default the moment
	// the server is made, so that data hold still during a test; or a day after
	// To, where that is not in the past.
	//
	// The organisation's clock is never behind AsOf, so that data of any time
	// can be served in a bubble of testing/synctest, where it is the year 2000.
	AsOf time.Time
	// Live ignores AsOf and lets conversations begin and go on with the clock:
	// open ones are closed, some reopened, evaluated, corrected.
	Live bool

	// Access.

	// ClientID and ClientSecret of the OAuth client; "demo" and "demo" if empty.
	ClientID, ClientSecret string
	// Clients are further OAuth clients: secrets by id.
	Clients map[string]string
	// TokenLife is expires_in; 0 means 24 hours less a second.
	TokenLife time.Duration
	// BadClientStatus answers a wrong client id or secret; 0 means 400.
	BadClientStatus int
	// Permissions that the client has; nil means all. An empty slice has none.
	Permissions []string

	// Allowance.

	// RequestsPerMinute is the allowance of one token; 0 means 300, negative
	// means no limit.
	RequestsPerMinute int
	// TokensPerMinute is the allowance of token requests of one client; 0 means
	// 300, negative means no limit.
	TokensPerMinute int
	// Window is how long the fixed window of both lasts; 0 means a minute.
	Window time.Duration
	// PerClient has all tokens of one client share one allowance.
	PerClient bool
	// Neighbours is how many requests of each window other programs make with
	// the same token, evenly spread over it.
	Neighbours int
	// NoRateHeaders leaves out the inin-ratelimit-* headers.
	NoRateHeaders bool

	// Jobs.

	// JobTime is how long a job runs; 0 means 200 ms. With JobTimeMax it is
	// between the two, by the job.
	JobTime, JobTimeMax time.Duration
	// MaxJobs is how many jobs may be unfinished at once; 0 means no limit.
	MaxJobs int
	// SubmitsPerSecond limits submissions; 0 means no limit.
	SubmitsPerSecond int
	// JobLimitRetryAfter is the Retry-After of a submission refused by either
	// limit; 0 leaves the header out.
	JobLimitRetryAfter time.Duration
	// Retention is how long results are kept; 0 means 24 hours.
	Retention time.Duration
	// MaxJobInterval is the longest interval of a job; 0 means no limit.
	MaxJobInterval time.Duration
	// RunningStatus answers a poll of an unfinished job: 200 (the default) or 202.
	RunningStatus int
	// EarlyStatus answers a request for results of a job that has none (not
	// yet, or no longer); 0 means 400.
	EarlyStatus int
	// DeletedIsGone answers 404 for a deleted job instead of showing it as
	// CANCELLED.
	DeletedIsGone bool
	// WatermarkLag is how far dataAvailabilityDate is behind the clock; 0 means
	// an hour, negative means none. Watermark fixes it instead.
	WatermarkLag time.Duration
	Watermark    time.Time

	// Pages.

	// PageSize is that of results when none is asked for; 0 means 1000.
	PageSize int
	// MaxPageSize is the largest page of results; 0 means 10000. More is cut
	// to it, or refused with RefusePageSize.
	MaxPageSize    int
	RefusePageSize bool
	// ClampQueryPageSize cuts a page of the query to 100 instead of refusing it.
	ClampQueryPageSize bool
	// CursorOnce has each cursor work once only.
	CursorOnce bool
	// UnknownCursorStatus answers a cursor that the job does not know; 0 means 400.
	UnknownCursorStatus int
	// OmitEmpty leaves the conversations key out of an empty page of results;
	// pages of the query always do.
	OmitEmpty bool
	// ShortPages has most pages of the query hold fewer records than asked for.
	ShortPages bool
	// Drift has each page of the query begin with so many records of the page
	// before it, as over live data.
	Drift int
	// FuzzyHits makes totalHits as approximate as the documentation says.
	FuzzyHits bool
	// DeepPaging answers 502 to pages of the query that reach past so many
	// records; 0 means never.
	DeepPaging int
	// StartedInside has the query match only what started inside the interval;
	// by default it matches all that started on a UTC day that it touches.
	StartedInside bool

	// The wire.

	// Pretty indents bodies. Gzip compresses them for clients that accept it.
	// Chunked sends them without a Content-Length.
	Pretty, Gzip, Chunked bool
	// GzipLevel is that of package compress/gzip; 0 means the fastest.
	GzipLevel int
	// Latency holds every answer back; with LatencyMax it is between the two.
	Latency, LatencyMax time.Duration
	// Faults are what goes wrong; the first rule that matches applies.
	Faults []Fault
	// PageCache keeps up to so many bytes of finished pages, so that a
	// benchmark that reads the same data again does not measure their making.
	PageCache int64
}

// or returns v, or def if v is zero.
func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// withDefaults fills in what was left out.
func (o Options) withDefaults(now time.Time) Options {
	o.To = or(o.To, now)
	if o.AsOf.IsZero() {
		o.AsOf = now
		if o.To.After(now) {
			o.AsOf = o.To.Add(24 * time.Hour)
		}
	}
	o.From = or(o.From, o.To.AddDate(-2, 0, 0))
	o.PerDay = or(o.PerDay, 2000)
	o.Size = or(o.Size, SizeNormal)
	o.LargeEvery = or(o.LargeEvery, 4000)
	o.ClientID = or(o.ClientID, "demo")
	o.ClientSecret = or(o.ClientSecret, "demo")
	o.TokenLife = or(o.TokenLife, 24*time.Hour-time.Second)
	o.BadClientStatus = or(o.BadClientStatus, 400)
	if o.Permissions == nil {
		o.Permissions = []string{permissionAll, permissionAgent}
	}
	o.RequestsPerMinute = or(o.RequestsPerMinute, 300)
	o.TokensPerMinute = or(o.TokensPerMinute, 300)
	o.Window = or(o.Window, time.Minute)
	o.JobTime = or(o.JobTime, 200*time.Millisecond)
	o.JobTimeMax = max(o.JobTimeMax, o.JobTime)
	o.Retention = or(o.Retention, 24*time.Hour)
	o.RunningStatus = or(o.RunningStatus, 200)
	o.EarlyStatus = or(o.EarlyStatus, 400)
	o.WatermarkLag = max(or(o.WatermarkLag, time.Hour), 0)
	o.PageSize = or(o.PageSize, 1000)
	o.MaxPageSize = or(o.MaxPageSize, 10_000)
	o.UnknownCursorStatus = or(o.UnknownCursorStatus, 400)
	o.GzipLevel = or(o.GzipLevel, 1)
	o.LatencyMax = max(o.LatencyMax, o.Latency)
	return o
}

// Check reports options that make no sense. [New] panics on them; a program
// that takes them from its user asks first.
func (o Options) Check() error {
	o = o.withDefaults(time.Now())
	switch {
	case !o.From.Before(o.To):
		return errors.New("the data end before they begin")
	case o.PerDay < 0 || o.PerDay > 50_000_000:
		return fmt.Errorf("%d conversations a day", o.PerDay)
	case o.Size != SizeNormal && o.Size != SizeSmall:
		return fmt.Errorf("unknown size %q", o.Size)
	case o.FlawedEvery < 0:
		return fmt.Errorf("one flawed record of %d", o.FlawedEvery)
	case o.Drift < 0 || o.Drift >= 25:
		return fmt.Errorf("drift of %d records", o.Drift)
	case o.GzipLevel < -2 || o.GzipLevel > 9:
		return fmt.Errorf("gzip level %d", o.GzipLevel)
	case o.RunningStatus != 200 && o.RunningStatus != 202:
		return fmt.Errorf("status %d for a running job", o.RunningStatus)
	}
	for _, f := range o.Faults {
		if err := f.check(); err != nil {
			return err
		}
	}
	return nil
}
