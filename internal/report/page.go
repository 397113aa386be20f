package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"time"

	"github.com/dustin/go-humanize"
)

//go:embed page.html.tmpl
var page string

// WriteHTML writes the page.
func (d *Data) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"date":    func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"stamp":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"comma":   humanize.Comma,
		"bytes":   func(n int64) string { return humanize.IBytes(uint64(n)) },
		"percent": func(part float64) string { return fmt.Sprintf("%.0f %%", 100*part) },
		"share":   func(n, of int) int { return 100 * n / max(of, 1) },
		"took":    took,
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("parse the page: %w", err)
	}
	return t.Execute(w, d)
}

func took(r Run) string {
	if r.Finished == nil {
		return "not ended"
	}
	return r.Finished.Sub(r.Started).Round(time.Second).String()
}

// A Verdict is what a reader wants to know first.
type Verdict struct{ Text, Class string }

// Verdict says whether all is there.
func (d *Data) Verdict() Verdict {
	missing, open := 0, 0
	for _, day := range d.Days {
		switch day.State() {
		case "missing", "part":
			missing++
		case "open":
			open++
		}
	}
	switch {
	case missing > 0:
		return Verdict{fmt.Sprintf("%d of %d days are not there, or in part", missing+open, len(d.Days)), "bad"}
	case open > 0:
		return Verdict{fmt.Sprintf("%d of %d days are begun and not finished", open, len(d.Days)), "open"}
	}
	return Verdict{fmt.Sprintf("All %d days are there", len(d.Days)), ""}
}

// A Month is a row of the calendar.
type Month struct {
	Name  string
	Cells []Cell
}

// A Cell is a place for a day; those outside of the range are empty.
type Cell struct {
	Day  *Day
	Mark string
}

// Months are the rows of the calendar.
func (d *Data) Months() (months []Month) {
	for i := range d.Days {
		day := &d.Days[i]
		name := day.Start.Format("2006-01")
		if len(months) == 0 || months[len(months)-1].Name != name {
			months = append(months, Month{Name: name, Cells: make([]Cell, 31)})
		}
		mark := map[string]string{"missing": "×", "part": "◐", "open": "…", "unsettled": "?"}[day.State()]
		months[len(months)-1].Cells[day.Start.Day()-1] = Cell{day, mark}
	}
	return months
}

// Busiest is the most conversations of a day.
func (d *Data) Busiest() (n int64) {
	for _, day := range d.Days {
		n = max(n, day.Records)
	}
	return n
}

// A Bar is one of the chart: a day, or several where there are many.
type Bar struct {
	Percent int
	Label   string
}

// mostBars is how many fit on a page.
const mostBars = 366

// Bars are those of the conversations by day.
func (d *Data) Bars() (bars []Bar) {
	each := (len(d.Days) + mostBars - 1) / mostBars
	most := float64(max(d.Busiest(), 1))
	for i := 0; i < len(d.Days); i += each {
		group := d.Days[i:min(i+each, len(d.Days))]
		var sum int64
		for _, day := range group {
			sum += day.Records
		}
		mean := float64(sum) / float64(len(group))
		label := fmt.Sprintf("%s: %s", group[0].Start.Format(time.DateOnly), humanize.Comma(int64(mean)))
		bars = append(bars, Bar{Percent: int(math.Ceil(100 * mean / most)), Label: label})
	}
	return bars
}
