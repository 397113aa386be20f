package genesystest

import (
	"slices"
	"strconv"
	"strings"
)

// A limitEntity is one limit of the organisation.
type limitEntity struct {
	Key       string `json:"key"`
	Namespace string `json:"namespace"`
	Value     int64  `json:"value"`
}

const (
	nsAnalytics = "analytics"
	keyJobs     = "conversations.details.jobs.concurrent.access.max"
	keySubmits  = "conversations.details.jobs.rate.per.second"
)

// limitTable lists the limits by namespace, in force or as they come.
func (s *Server) limitTable(defaults bool) map[string][]limitEntity {
	o := &s.opt
	value := func(v, def int) int64 {
		if defaults || v <= 0 {
			return int64(def)
		}
		return int64(v)
	}
	return map[string][]limitEntity{
		"platform.api": {
			{"token.rate.per.minute", "platform.api", value(o.RequestsPerMinute, 300)},
			{"ui.token.rate.per.minute", "platform.api", 300},
			{"org.app.user.rate.per.minute", "platform.api", 3000},
			{"request.bytes.max", "platform.api", maxRequestBytes},
		},
		"auth.api": {
			{"client.credentials.token.rate.per.minute", "auth.api", value(o.TokensPerMinute, 300)},
		},
		nsAnalytics: {
			{keyJobs, nsAnalytics, value(o.MaxJobs, 10)},
			{keySubmits, nsAnalytics, value(o.SubmitsPerSecond, 5)},
		},
		"analytics.data.extraction": {},
	}
}

// limits answers /api/v2/organizations/limits/…, which needs no permission.
func (x *exchange) limits() answer {
	rest := strings.TrimPrefix(x.r.URL.Path, limitPath)
	if rest == "docs" {
		return ok(map[string]string{"url": "https://docs.example.com/limits.json"})
	}
	if rest == "namespaces" {
		var names []string
		for name := range x.s.limitTable(false) {
			names = append(names, name)
		}
		slices.Sort(names)
		return envelope(x, names)
	}
	name, found := strings.CutPrefix(rest, "namespaces/")
	name, defaults := strings.CutSuffix(name, "/defaults")
	entities, known := x.s.limitTable(defaults)[name]
	if !found || !known {
		return x.notFound()
	}
	return ok(map[string]any{"entities": entities})
}

// listings maps the paths of the listings to the kind of thing they list.
func listings() map[string]string {
	return map[string]string{
		"/api/v2/users":                   "user",
		"/api/v2/routing/queues":          "queue",
		"/api/v2/routing/wrapupcodes":     "wrapupcode",
		"/api/v2/routing/skills":          "skill",
		"/api/v2/authorization/divisions": "division",
	}
}

// listing answers a page of users, queues and the like.
func (x *exchange) listing() answer {
	type entity struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		SelfURI string `json:"selfUri"`
	}
	w, path := x.s.world, x.r.URL.Path
	ids := map[string][]uid{
		"user": w.users, "queue": w.queues, "wrapupcode": w.wrapups, "skill": w.skills, "division": w.divisions,
	}[listings()[path]]
	entities := make([]entity, len(ids))
	for i, id := range ids {
		entities[i] = entity{id.String(), listings()[path] + " " + strconv.Itoa(i+1), path + "/" + id.String()}
	}
	return envelope(x, entities)
}

// envelope cuts a page out of all there is, in the form of the platform's
// listings; a page size over the maximum is silently cut.
func envelope[T any](x *exchange, all []T) answer {
	size, number := 25, 1
	if n, err := strconv.Atoi(x.r.URL.Query().Get("pageSize")); err == nil && n > 0 {
		size = min(n, 500)
	}
	if n, err := strconv.Atoi(x.r.URL.Query().Get("pageNumber")); err == nil && n > 0 {
		number = n
	}
	pages := (len(all) + size - 1) / size
	uri := func(n int) string {
		return x.r.URL.Path + "?pageNumber=" + strconv.Itoa(n) + "&pageSize=" + strconv.Itoa(size)
	}
	from := min((number-1)*size, len(all))
	body := map[string]any{
		"entities": all[from:min(from+size, len(all))],
		"pageSize": size, "pageNumber": number, "total": len(all), "pageCount": pages,
		"firstUri": uri(1), "selfUri": uri(number), "lastUri": uri(max(pages, 1)),
	}
	if number < pages {
		body["nextUri"] = uri(number + 1)
	}
	if number > 1 {
		body["previousUri"] = uri(number - 1)
	}
	return ok(body)
}
