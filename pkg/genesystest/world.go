package genesystest

// A world is the organisation that the data tell about: who works there, and
// which queues, skills and flows it has. It is small, fixed by the seed, and
// what makes records resemble each other as real ones do.
type world struct {
	cal         *calendar
	small       bool
	extra       bool
	flawedEvery int

	largeEvery int
	largeBytes int

	divisions, users, teams, queues, skills, languages   []uid
	wrapups, edges, flows, forms, scripts, outcomes      []uid
	campaigns, lists, contacts, calibrators, surveyForms []uid

	queueNames, places, firstNames, lastNames []string
	attributeKeys, attributeValues, oddValues []string
	flaws                                     []string
}

func newWorld(o Options) *world {
	pool := func(kind uint64, n int) []uid {
		us := make([]uid, n)
		for i := range us {
			us[i] = uid{hash(o.Seed, 'w', kind, uint64(i)), hash(o.Seed, 'v', kind, uint64(i))}
		}
		return us
	}
	return &world{
		cal:         newCalendar(o),
		small:       o.Size == SizeSmall,
		extra:       o.ExtraFields,
		flawedEvery: o.FlawedEvery,
		largeEvery:  o.LargeEvery,
		largeBytes:  o.LargeBytes,

		divisions: pool(1, 5), users: pool(2, 240), teams: pool(3, 12), queues: pool(4, 24),
		skills: pool(5, 16), languages: pool(6, 6), wrapups: pool(7, 48), edges: pool(8, 6),
		flows: pool(9, 20), forms: pool(10, 8), scripts: pool(11, 12), outcomes: pool(12, 24),
		campaigns: pool(13, 6), lists: pool(14, 6), contacts: pool(15, 400),
		calibrators: pool(16, 4), surveyForms: pool(17, 4),

		queueNames: queueNames(), places: placeNames(),
		firstNames: firstNames(), lastNames: lastNames(),
		attributeKeys: attributeKeys(), attributeValues: attributeValues(), oddValues: oddValues(),
		flaws: flaws(),
	}
}

// pick draws one of several.
func pick[T any](r *rng, from []T) T { return from[r.below(len(from))] }

// Names are JSON string contents: escapes stand as the API would send them.

func queueNames() []string {
	return []string{
		"Billing Support", "Technical Support", "Sales Inbound", "Retention", "Claims",
		"Réclamations & Suivi", "Kundendienst Österreich", "カスタマーサポート", "دعم العملاء",
		"VIP \\/ Platinum", "Returns \\u0026 Refunds", "Back Office", "Onboarding", "Fraud Desk",
		"Deliveries <EMEA>", "Collections", "Partner Line", "Warranty", "Web Chat", "E-mail EU",
		"Social \\ud83d\\ude80", "Night Shift", "Overflow", "Escalations \\\"Tier 3\\\"",
	}
}

func placeNames() []string {
	return []string{
		"Indianapolis IN", "Springfield IL", "Portland OR", "Chicago IL", "Denver CO", "Boston MA",
		"Montréal QC", "Z\\u00fcrich", "København", "Łódź", "São Paulo", "東京", "Seattle WA",
		"Austin TX", "Phoenix AZ", "Toronto ON",
	}
}

func firstNames() []string {
	return []string{
		"Alex", "Sam", "Robin", "Kim", "Jules", "Noor", "Ren\\u00e9e", "Björn", "Chidi", "Mei",
		"Ioana", "Lucía", "Dana", "Toni", "Yuki", "Sasha",
	}
}

func lastNames() []string {
	return []string{
		"Morgan", "Example", "Sample", "Muster", "Placeholder", "Doe", "O'Example", "Nyström",
		"Testa", "Specimen", "Fulano", "Tal",
	}
}

// person makes an invented name.
func (w *world) person(r *rng) string { return pick(r, w.firstNames) + " " + pick(r, w.lastNames) }
