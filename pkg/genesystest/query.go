package genesystest

import (
	"encoding/json"
	"strconv"
)

type queryBody struct {
	searchBody
	Paging       *paging           `json:"paging"`
	Aggregations []json.RawMessage `json:"aggregations"`
}

type paging struct {
	PageSize   *int `json:"pageSize"`
	PageNumber *int `json:"pageNumber"`
}

const (
	queryPageSize    = 25
	queryMaxPageSize = 100
	queryMaxResults  = 100_000
)

// queryPage reads only the page number of a query; 1 where there is none.
func queryPage(body []byte) int {
	var q struct {
		Paging struct {
			PageNumber int `json:"pageNumber"`
		} `json:"paging"`
	}
	if json.Unmarshal(body, &q) != nil {
		return 1
	}
	return max(q.Paging.PageNumber, 1)
}

// query answers one page of the synchronous query.
func (x *exchange) query() answer {
	if a := x.allowed(permissionAll, permissionAgent); a != nil {
		return *a
	}
	var q queryBody
	if a := x.decode(&q); a != nil {
		return *a
	}
	c, bad := x.criteria(&q.searchBody)
	if bad != nil {
		return *bad
	}
	if a := x.checkLength(c, len(q.filters()) > 0); a != nil {
		return *a
	}
	size, number, bad := x.checkPaging(q.Paging)
	if bad != nil {
		return *bad
	}
	x.note(func(r *Request) { r.PageSize = size })
	if deep := x.s.opt.DeepPaging; deep > 0 && size*number > deep {
		return badGateway()
	}
	return x.queryAnswer(c, int64(size), int64(number))
}

// checkLength applies the limits to the interval: 7 days, 31 with a filter.
func (x *exchange) checkLength(c criteria, filtered bool) *answer {
	days := int64(7)
	if filtered {
		days = 31
	}
	if c.to-c.from <= days*dayMS {
		return nil
	}
	a := x.fail(400, "bad.request", "You must specify a search interval as part of your query that does not exceed "+strconv.FormatInt(days, 10)+" days")
	return &a
}

// checkPaging reads the page that is asked for.
func (x *exchange) checkPaging(p *paging) (size, number int, bad *answer) {
	refuse := func(text string) (int, int, *answer) {
		a := x.fail(400, "bad.request", text)
		return 0, 0, &a
	}
	if p == nil {
		return queryPageSize, 1, nil
	}
	if p.PageSize == nil || p.PageNumber == nil {
		return refuse("Paging needs both pageSize and pageNumber.")
	}
	size, number = *p.PageSize, *p.PageNumber
	switch {
	case size < 1 || number < 1:
		return refuse("Page size and page number must be greater than zero.")
	case size > queryMaxPageSize && !x.s.opt.ClampQueryPageSize:
		return refuse("Page size may not exceed " + strconv.Itoa(queryMaxPageSize) + ".")
	}
	size = min(size, queryMaxPageSize)
	if number > queryMaxResults/size {
		return refuse("Pagination may not exceed 100000 results. Try a smaller interval to see all results.")
	}
	return size, number, nil
}

// queryAnswer finds the page. Records match by the day they started on; page
// boundaries move with Drift and ShortPages.
func (x *exchange) queryAnswer(c criteria, size, number int64) answer {
	asOf := x.s.asOf()
	hits := x.s.started(c, asOf)
	from, to := (number-1)*size, number*size
	total := hits.len()
	o := &x.s.opt
	if d := int64(o.Drift); d > 0 {
		from, to = from-d*(number-1), to-d*(number-1)
	}
	if o.ShortPages { // one position of 17 is a duplicate that is taken out afterwards
		from, to = from-from/17, to-to/17
		total += total / 16
	}
	if o.FuzzyHits {
		total += total * (int64(hash(o.Seed, uint64(c.from), uint64(number))%41) - 20) / 1000
	}
	var w writer
	w.int("totalHits", total)
	p := pageOf{
		hits: &hits, offset: from, size: to - from, asOf: asOf, tail: w.b, omitEmpty: true,
		key: hash('q', uint64(c.from), uint64(c.to), uint64(from), uint64(to), uint64(asOf), uint64(total)),
	}
	if c.keep != nil || c.byEnd || c.descending {
		p.key = 0
	}
	return x.pageAnswer(p)
}

// started finds the conversations that started on a UTC day which an interval
// touches, and are there by now.
func (s *Server) started(c criteria, asOf int64) hitList {
	from, to := c.from, c.to
	if !s.opt.StartedInside {
		from = floorDiv(from, dayMS) * dayMS
		to = -floorDiv(-to, dayMS) * dayMS
	}
	to = min(to, s.now().UnixMilli()+1)
	return s.world.hits(c, nil, s.world.cal.between(from, to), asOf)
}
