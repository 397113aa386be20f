// Package genesystest simulates the Genesys Cloud API for conversation details,
// in the way net/http/httptest simulates a web server: OAuth, the details jobs
// and the details query, availability, limits and a few listings, with the
// messages, headers and oddities of the real one, and with faults on demand.
//
// # Data
//
// An organisation's conversations are computed from a seed, not stored: a year
// of a million conversations costs no memory, and any interval of it can be
// asked for at once. They have the shape, the size and the traps of real ones:
// conversations that last weeks, that are still open or were opened again,
// 64-bit numbers, fractions with all their digits, every kind of escape. All
// names, numbers and addresses are invented.
//
// # Use
//
//	server := genesystest.New(genesystest.Options{Seed: 1, PerDay: 500})
//	client := server.Client()               // in memory, without sockets
//	url, stop, err := server.Listen("")     // or on 127.0.0.1
//
// The API and its login host are one handler; the path tells them apart. In
// memory, and the clock being time.Now, a server works inside a testing/synctest
// bubble, where a minute's rate limit passes in no time.
//
// What a perfect export would hold is known too: [Server.Truth] yields it record
// by record, byte for byte, to compare with. [Server.Requests] tells what was
// asked, and [Server.CheckAllowance] whether it was too much.
//
// # Faults
//
// [Options.Faults] is a list of rules: which requests, from when on, how often,
// and what goes wrong with them.
//
//	Faults: []genesystest.Fault{
//		{Kind: genesystest.Page, After: 3, Times: 2, Action: genesystest.Status{Code: 429, RetryAfter: "5"}},
//		{Kind: genesystest.Page, Page: 7, Action: genesystest.Cut{At: 0.5}},
//		{Kind: genesystest.Submit, Action: genesystest.JobEndless{}},
//	}
//
// [ParseFault] reads the same from a line of text: "page:429:after=3,times=2,retry-after=5".
package genesystest
