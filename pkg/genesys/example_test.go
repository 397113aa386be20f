package genesys_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/gcexport/gcexport/pkg/genesys"
	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

func ExampleHosts() {
	api, login, _ := genesys.Hosts("eu-central-1")
	fmt.Println(api, login)
	_, _, err := genesys.Hosts("eu-centrl-1")
	fmt.Println(err.Error()[:65])
	// Output:
	// https://api.mypurecloud.de https://login.mypurecloud.de
	// unknown region "eu-centrl-1"; did you mean eu-central-1? (known:
}

// Reads a day of an organisation, and prints the ids of its conversations.
func ExampleJobs_Pages() {
	api, login, err := genesys.Hosts("eu-central-1")
	if err != nil {
		log.Fatal(err)
	}
	client, err := genesys.New(genesys.Config{
		APIURL: api, LoginURL: login,
		ClientID:     os.Getenv("GENESYSCLOUD_OAUTHCLIENT_ID"),
		ClientSecret: genesys.NewSecret(os.Getenv("GENESYSCLOUD_OAUTHCLIENT_SECRET")),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	day := interval.Interval{Start: start, End: start.Add(interval.Day)}
	scanner := record.NewScanner(record.Options{})
	for page, err := range client.Jobs(genesys.JobOptions{}).Pages(context.Background(), day) {
		if err != nil {
			log.Fatal(err)
		}
		var ids []string
		err = scanner.Scan(page, func(r record.Record) error {
			ids = append(ids, string(r.ID))
			return nil
		})
		if err == nil { // else the page is damaged, and comes again
			fmt.Println(ids)
		}
	}
}
