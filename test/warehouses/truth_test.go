package warehouses

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"testing"
	"time"
)

// An answer is what a question has for result: a row's key and the rest of it.
type answer map[string]string

// The members of a conversation that the questions are about. Decoding by
// encoding/json makes this an independent reader: it shares nothing with the
// kits.
type (
	conversation struct {
		ConversationID    string
		ConversationStart time.Time
		ConversationEnd   *time.Time
		ExternalTag       *string
		Originating       *string `json:"originatingDirection"`
		Evaluations       []evaluation
		Surveys           []survey
		Participants      []participant
		raw               []byte
	}
	participant struct {
		ParticipantID, Purpose string
		UserID                 *string
		Attributes             map[string]string
		Sessions               []session
	}
	session struct {
		MediaType      string
		Direction, Ani *string
		Segments       []segment
		Metrics        []metric
	}
	segment struct {
		SegmentType         string
		SegmentStart        time.Time
		SegmentEnd          *time.Time
		QueueID, WrapUpCode *string
		Conference          *bool
	}
	metric struct {
		Name     string
		Value    int64
		EmitDate time.Time
	}
	evaluation struct {
		EvaluationStatus string
		Released         *bool
		OTotalScore      *float64
	}
	survey struct {
		SurveyStatus        string
		SurveyPromoterScore *int64
		SurveyCompletedDate *time.Time
	}
)

func decode(t testing.TB, line []byte) conversation {
	t.Helper()
	c := conversation{raw: line}
	if err := json.Unmarshal(line, &c); err != nil {
		t.Fatalf("decode a conversation: %v", err)
	}
	return c
}

// tally adds up rows that have the same key.
type tally map[string][]*big.Int

func (t tally) add(key string, values ...int64) {
	row := t[key]
	if row == nil {
		for range values {
			row = append(row, new(big.Int))
		}
		t[key] = row
	}
	for i, v := range values {
		row[i].Add(row[i], big.NewInt(v))
	}
}

func (t tally) answer() answer {
	a := answer{}
	for key, row := range t {
		text := ""
		for i, v := range row {
			if i > 0 {
				text += "|"
			}
			text += v.String()
		}
		a[key] = text
	}
	return a
}

func given[T any](p *T) int64 {
	if p == nil {
		return 0
	}
	return 1
}

// A dialect is how a warehouse writes what the questions need.
type dialect struct {
	// ms is the milliseconds of a time since 1970, flag a boolean as 0 or 1,
	// text a record's own bytes, sum an exact sum, md5 in hexadecimal.
	ms, flag, text, sum, md5 func(expression string) string
}

// A question is asked of a warehouse, and of the truth. Its SQL gives a key and
// the numbers of a row.
type question struct {
	name  string
	sql   func(d dialect) string
	truth func(c conversation, add func(key string, values ...int64))
}

// questions ask each view for its rows, by kind, and for sums over columns of
// each type.
func questions() []question {
	return []question{
		{"raw rows", func(d dialect) string { return `SELECT 'all', count(*) FROM genesys.conversations_raw` },
			func(c conversation, add func(string, ...int64)) { add("all", 1) }},
		{"conversations", func(d dialect) string {
			return `SELECT coalesce(originating_direction, 'none'), count(*), count(DISTINCT conversation_id), count(conversation_end), count(external_tag), ` + d.sum(d.ms("conversation_start")) + ` FROM genesys.conversations GROUP BY 1`
		},
			func(c conversation, add func(string, ...int64)) {
				add(or(c.Originating, "none"), 1, 1, given(c.ConversationEnd), given(c.ExternalTag), c.ConversationStart.UnixMilli())
			}},
		{"participants", func(d dialect) string {
			return `SELECT coalesce(purpose, ''), count(*), count(user_id), ` + d.sum("participant_index") + ` FROM genesys.participants GROUP BY 1`
		},
			func(c conversation, add func(string, ...int64)) {
				for i, p := range c.Participants {
					add(p.Purpose, 1, given(p.UserID), int64(i))
				}
			}},
		{"sessions", func(d dialect) string {
			return `SELECT coalesce(media_type, ''), count(*), count(direction), count(ani) FROM genesys.sessions GROUP BY 1`
		},
			func(c conversation, add func(string, ...int64)) {
				c.sessions(func(s session) { add(s.MediaType, 1, given(s.Direction), given(s.Ani)) })
			}},
		{"segments", func(d dialect) string {
			return `SELECT coalesce(segment_type, ''), count(*), count(queue_id), count(wrap_up_code), count(segment_end), ` + d.sum(d.ms("segment_start")) + `, ` + d.sum(d.flag("conference")) + ` FROM genesys.segments GROUP BY 1`
		},
			func(c conversation, add func(string, ...int64)) {
				c.sessions(func(s session) {
					for _, g := range s.Segments {
						add(g.SegmentType, 1, given(g.QueueID), given(g.WrapUpCode), given(g.SegmentEnd), g.SegmentStart.UnixMilli(), truth(g.Conference))
					}
				})
			}},
		{"metrics", func(d dialect) string {
			return `SELECT metric_name, count(*), ` + d.sum("metric_value") + `, ` + d.sum(d.ms("emit_date")) + `, ` + d.sum("metric_index") + ` FROM genesys.metrics GROUP BY 1`
		},
			func(c conversation, add func(string, ...int64)) {
				c.sessions(func(s session) {
					for i, m := range s.Metrics {
						add(m.Name, 1, m.Value, m.EmitDate.UnixMilli(), int64(i))
					}
				})
			}},
		{"evaluations", func(d dialect) string {
			return `SELECT evaluation_status, count(*), ` + d.sum(d.flag("released")) + `, ` + d.sum("total_score") + ` FROM genesys.evaluations GROUP BY 1`
		},
			func(c conversation, add func(string, ...int64)) {
				for _, e := range c.Evaluations {
					add(e.EvaluationStatus, 1, truth(e.Released), int64(*orZero(e.OTotalScore)))
				}
			}},
		{"surveys", func(d dialect) string {
			return `SELECT survey_status, count(*), count(completed_date), ` + d.sum("promoter_score") + ` FROM genesys.surveys GROUP BY 1`
		},
			func(c conversation, add func(string, ...int64)) {
				for _, s := range c.Surveys {
					add(s.SurveyStatus, 1, given(s.SurveyCompletedDate), *orZero(s.SurveyPromoterScore))
				}
			}},
		{"attributes", func(d dialect) string {
			return `SELECT ` + d.md5("attribute_key || '|' || attribute_value") + `, count(*) FROM genesys.participant_attributes GROUP BY 1`
		},
			func(c conversation, add func(string, ...int64)) {
				for _, p := range c.Participants {
					for k, v := range p.Attributes {
						add(sum(k+"|"+v), 1)
					}
				}
			}},
	}
}

// bytesQuestion asks for each record, byte for byte. PostgreSQL's jsonb has its
// own order of members, and is not asked.
func bytesQuestion() question {
	return question{"records", func(d dialect) string {
		return `SELECT conversation_id || ' ' || ` + d.md5(d.text("record")) + `, count(*) FROM genesys.conversations GROUP BY 1`
	},
		func(c conversation, add func(string, ...int64)) { add(c.ConversationID+" "+sum(string(c.raw)), 1) }}
}

func (c conversation) sessions(f func(session)) {
	for _, p := range c.Participants {
		for _, s := range p.Sessions {
			f(s)
		}
	}
}

func (q question) ask(all []conversation) answer {
	t := tally{}
	for _, c := range all {
		q.truth(c, t.add)
	}
	return t.answer()
}

func sum(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

func or(p *string, other string) string {
	if p == nil {
		return other
	}
	return *p
}

func orZero[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

func truth(p *bool) int64 {
	if p != nil && *p {
		return 1
	}
	return 0
}

// number writes a number as the tally does: sums come as 12, 12.0 or 1.2e1.
func number(t testing.TB, s string) string {
	t.Helper()
	if s == "" {
		return "0"
	}
	f, ok := new(big.Rat).SetString(s)
	if !ok || !f.IsInt() {
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			t.Fatalf("%q is no number", s)
		}
		return fmt.Sprintf("not whole: %s", s)
	}
	return f.Num().String()
}

func itoa(n int) string { return strconv.Itoa(n) }
