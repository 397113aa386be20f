package genesystest_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// A server in memory, its data and its log.
func Example() {
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	server := genesystest.New(genesystest.Options{
		Seed: 1, From: day.AddDate(0, 0, -30), To: day.AddDate(0, 0, 1), PerDay: 100, Flat: true,
		Faults: []genesystest.Fault{
			{Kind: genesystest.Token, Action: genesystest.Status{Code: 503}},
		},
	})
	for range 2 {
		r, _ := http.NewRequest("POST", "https://login.example.com/oauth/token", strings.NewReader("grant_type=client_credentials"))
		r.SetBasicAuth("demo", "demo")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := server.Client().Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		res.Body.Close()
	}
	for _, r := range server.Requests() {
		fmt.Println(r.Kind, r.Status)
	}
	fmt.Println(server.Count(day, day.AddDate(0, 0, 1)), "conversations")
	for c := range server.Truth(day, day.AddDate(0, 0, 1), true) {
		fmt.Println("the first began at", c.Start)
		break
	}
	// Output:
	// token 503
	// token 200
	// 100 conversations
	// the first began at 2026-03-02 00:00:00 +0000 UTC
}
