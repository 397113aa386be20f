package genesystest

import (
	"slices"
	"strconv"
	"time"
)

// States of a job.
const (
	queued    = "QUEUED"
	pending   = "PENDING"
	fulfilled = "FULFILLED"
	failed    = "FAILED"
	cancelled = "CANCELLED"
	expired   = "EXPIRED"
)

// A job is one asynchronous query. Its state follows from the clock.
type job struct {
	id        string
	number    int // in order of submission, from 1
	submitted time.Time
	done      time.Time // when it finishes; zero if it never does
	outcome   string    // what it finishes as
	message   string
	deleted   bool
	hits      hitList
	asOf      int64
	watermark time.Time
	key       uint64 // of what was asked for: the same for the same search
	used      map[int64]bool
}

// state is that of the job at a moment.
func (j *job) state(now time.Time, retention time.Duration) string {
	switch {
	case j.deleted:
		return cancelled
	case j.done.IsZero() || now.Before(j.done):
		if now.Sub(j.submitted) < 50*time.Millisecond {
			return queued
		}
		return pending
	case j.outcome == fulfilled && now.Sub(j.done) >= retention:
		return expired
	}
	return j.outcome
}

type jobBody struct {
	searchBody
	Limit                      int64 `json:"limit"`
	StartOfDayIntervalMatching bool  `json:"startOfDayIntervalMatching"`
}

// submit accepts a job.
func (x *exchange) submit() answer {
	if a := x.allowed(permissionAll, permissionAgent); a != nil {
		return *a
	}
	var q jobBody
	if a := x.decode(&q); a != nil {
		return *a
	}
	c, bad := x.criteria(&q.searchBody)
	if bad != nil {
		return *bad
	}
	if most := x.s.opt.MaxJobInterval; most > 0 && time.Duration(c.to-c.from)*time.Millisecond > most {
		return x.fail(400, "bad.request", "The interval of a job may not exceed "+most.String())
	}
	if q.Limit < 0 {
		return x.invalid(strconv.FormatInt(q.Limit, 10), "limit", "positive numbers")
	}
	if a := x.admitJob(); a != nil {
		return *a
	}
	j := x.s.newJob(c, q)
	x.note(func(r *Request) { r.Job = j.id })
	x.jobID = j.id
	x.afflict(j)
	return answer{status: 202, body: encode(map[string]string{"jobId": j.id})}
}

// admitJob applies the limits that only submissions have.
func (x *exchange) admitJob() *answer {
	s, o, now := x.s, &x.s.opt, time.Now()
	retry := 0
	if o.JobLimitRetryAfter > 0 {
		retry = seconds(o.JobLimitRetryAfter)
	}
	s.mu.Lock()
	open := 0
	for _, j := range s.jobs {
		if st := j.state(now, o.Retention); st == queued || st == pending {
			open++
		}
	}
	recent := slices.DeleteFunc(s.submits, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	crowded := o.MaxJobs > 0 && open >= o.MaxJobs
	hasty := o.SubmitsPerSecond > 0 && len(recent) >= o.SubmitsPerSecond
	if !crowded && !hasty {
		recent = append(recent, now)
	}
	s.submits = recent
	s.mu.Unlock()
	switch {
	case crowded:
		a := x.tooMany(retry, &limitEntity{keyJobs, nsAnalytics, int64(o.MaxJobs)})
		return &a
	case hasty:
		a := x.tooMany(retry, &limitEntity{keySubmits, nsAnalytics, int64(o.SubmitsPerSecond)})
		return &a
	}
	return nil
}

// newJob computes what a job will find. Nothing past the watermark is found,
// and nothing says so.
func (s *Server) newJob(c criteria, q jobBody) *job {
	now := time.Now()
	mark := s.watermark()
	j := &job{submitted: now, outcome: fulfilled, asOf: s.asOf(), watermark: mark, used: make(map[int64]bool)}
	j.key = hash(s.opt.Seed, uint64(c.from), uint64(c.to), uint64(mark.Unix()), uint64(j.asOf), uint64(q.Limit))
	if q.StartOfDayIntervalMatching {
		// Only what started on the interval's first day or later.
		j.key = mix(j.key)
		keep, midnight := c.keep, floorDiv(c.from, dayMS)*dayMS
		j.hits = s.world.sinceMidnight(clip(c, mark), keep, midnight, j.asOf)
	} else {
		j.hits = s.world.overlapping(clip(c, mark), j.asOf)
	}
	j.hits.limit = q.Limit

	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobCount++
	r := rng{hash(s.opt.Seed, 'j', s.jobCount)}
	j.id, j.number = r.uid().String(), int(s.jobCount)
	j.done = now.Add(time.Duration(r.between(int64(s.opt.JobTime), int64(s.opt.JobTimeMax))))
	s.jobs[j.id] = j
	return j
}

// clip ends a search at the watermark.
func clip(c criteria, mark time.Time) criteria {
	c.to = max(min(c.to, mark.UnixMilli()), c.from)
	return c
}

// watermark is the moment up to which data are complete, in whole seconds.
func (s *Server) watermark() time.Time {
	if !s.opt.Watermark.IsZero() {
		return s.opt.Watermark.UTC().Truncate(time.Second)
	}
	return s.now().Add(-s.opt.WatermarkLag).UTC().Truncate(time.Second)
}

// find looks up the job that a request is about.
func (x *exchange) find() (*job, *answer) {
	if a := x.allowed(permissionAll, permissionAgent); a != nil {
		return nil, a
	}
	x.s.mu.Lock()
	j := x.s.jobs[x.jobID]
	gone := j == nil || j.deleted && x.s.opt.DeletedIsGone
	x.s.mu.Unlock()
	if gone {
		a := x.fail(404, "not.found", "The requested job was not found")
		return nil, &a
	}
	x.afflict(j)
	return j, nil
}

// status answers a poll.
func (x *exchange) status() answer {
	j, bad := x.find()
	if bad != nil {
		return *bad
	}
	now := time.Now()
	x.s.mu.Lock()
	state, done, message := j.state(now, x.s.opt.Retention), j.done, j.message
	x.s.mu.Unlock()
	body := map[string]string{"state": state, "submissionDate": stamp(j.submitted)}
	status := 200
	switch state {
	case queued, pending:
		status = x.s.opt.RunningStatus
	case failed:
		body["errorMessage"] = message
		body["completionDate"] = stamp(done)
	case fulfilled, expired:
		body["completionDate"] = stamp(done)
		body["expirationDate"] = stamp(done.Add(x.s.opt.Retention))
	}
	return answer{status: status, body: encode(body)}
}

func stamp(t time.Time) string { return string(appendTime(nil, t.UnixMilli())) }

// remove deletes a job.
func (x *exchange) remove() answer {
	j, bad := x.find()
	if bad != nil {
		return *bad
	}
	x.s.mu.Lock()
	j.deleted = true
	x.s.mu.Unlock()
	return answer{status: 204}
}

// availability answers up to when the data are complete.
func (x *exchange) availability() answer {
	if a := x.allowed(permissionAll); a != nil {
		return *a
	}
	return ok(map[string]string{"dataAvailabilityDate": x.markOf(x.s.watermark())})
}

// markOf writes a watermark the way the API does: without fractions.
func (x *exchange) markOf(t time.Time) string {
	if back, ok := x.fault.(WatermarkBack); ok {
		t = t.Add(-back.By)
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// OpenJobs returns the ids of the jobs that were submitted and neither deleted
// nor expired: what an exporter leaves behind.
func (s *Server) OpenJobs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id, j := range s.jobs {
		if st := j.state(time.Now(), s.opt.Retention); st == queued || st == pending || st == fulfilled {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
