package export

import "time"

// An Observer is told what happens during a run. Observe is called from
// several goroutines at once and must not block: it holds up a worker.
type Observer interface {
	Observe(Event)
}

// An Event is one of the types below.
type Event interface{ event() }

// Planned says what there is to do; it comes first.
type Planned struct {
	// Run is the run's ULID.
	Run string
	// Chunks is the number of chunks of this shard's plan. Skipped of them
	// were done before, Postponed lie beyond the watermark, Todo remain.
	Chunks, Skipped, Postponed, Todo int
	// Watermark is the source's, as it was before the run; zero if unknown.
	Watermark time.Time
}

// ChunkStarted says that a chunk is begun: it is opened at the source, and then
// waits for its turn. Up to Workers and Ahead together are at once.
type ChunkStarted struct{ Chunk Chunk }

// PageTaken says that a page of the source is whole and compressed. Its
// records may still have to be written once more, should the part fail.
type PageTaken struct {
	Chunk Chunk
	// Received counts the page's records; Records those that the chunk owns
	// and had not yet, with their raw and compressed bytes.
	Received, Records, RawBytes, Bytes int64
	// BodyBytes is the size of the page as it came over the wire.
	BodyBytes int64
}

// PartWritten says that a data object is in the bucket.
type PartWritten struct {
	Chunk                    Chunk
	Key                      string
	Records, RawBytes, Bytes int64
}

// StoreWaited says that a worker has waited for the bucket to take its part.
type StoreWaited struct{ Took time.Duration }

// ChunkDone says that a chunk is committed. Elsewhere says that another
// process did it; the numbers are zero then.
type ChunkDone struct {
	Chunk                    Chunk
	Records, RawBytes, Bytes int64
	// Dropped and Diverted are what its manifest says.
	Dropped   Dropped
	Diverted  []Diverted
	Took      time.Duration
	Elsewhere bool
}

// ChunkPostponed says that the results of a chunk proved not settled: the
// source's watermark lies before the chunk's end. A later run exports it.
type ChunkPostponed struct {
	Chunk     Chunk
	Watermark time.Time
}

// ChunkFailed says that a chunk is given up in this run.
type ChunkFailed struct {
	Chunk Chunk
	Err   error
}

func (Planned) event()        {}
func (ChunkStarted) event()   {}
func (PageTaken) event()      {}
func (PartWritten) event()    {}
func (StoreWaited) event()    {}
func (ChunkDone) event()      {}
func (ChunkPostponed) event() {}
func (ChunkFailed) event()    {}
