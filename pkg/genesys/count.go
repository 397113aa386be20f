package genesys

import (
	"context"

	"github.com/gcexport/gcexport/pkg/interval"
	"github.com/gcexport/gcexport/pkg/record"
)

// Count returns about how many conversations started on the UTC days that the
// interval touches: a query's number of hits, which the API calls approximate. It
// costs one request, and one conversation is transferred. The interval is 7 days
// long at most, as that of any query.
func (c *Client) Count(ctx context.Context, iv interval.Interval) (int64, error) {
	q := c.Queries(QueryOptions{PageSize: 1})
	buf := c.buffers.Get().(*buffer)
	defer c.buffers.Put(buf)
	r := q.request(iv, 1)
	rep, err := c.send(ctx, r, buf)
	if err != nil {
		return 0, err
	}
	p := &record.Page{Body: rep.body, Gzip: rep.gzip}
	if err := record.NewScanner(record.Options{}).Scan(p, func(record.Record) error { return nil }); err != nil {
		return 0, c.connError(r, err)
	}
	return max(p.Envelope.TotalHits, int64(p.Records)), nil
}
