package cli

import "github.com/gcexport/gcexport/internal/store"

// A topic is an entry of the catalogue of errors, docs/errors.md, in which a
// failure is explained at length.
type topic string

// The topics. Each has an entry, and each entry is one of them: a test sees to it.
const (
	topicUsage       topic = "usage"
	topicOpenChunk   topic = "open-chunk"
	topicFormat      topic = "record-format"
	topicPartition   topic = "partition"
	topicOverwrites  topic = "overwrites"
	topicRefused     topic = "api-refused"
	topicPermission  topic = "api-permission"
	topicAPI         topic = "api-failed"
	topicUnreachable topic = "api-unreachable"
	topicStray       topic = "stray-record"
	topicConfig      topic = "store-config"
	topicNotFound    topic = "store-not-found"
	topicDenied      topic = "store-denied"
	topicStoreAway   topic = "store-unreachable"
	topicFailed      topic = "chunks-failed"
	topicWatermark   topic = "beyond-the-watermark"
	topicDiverted    topic = "put-aside"
	topicDamage      topic = "damage"
	topicInterrupted topic = "interrupted"
	topicOther       topic = "other"
)

// see names the entry.
func (t topic) see() string { return "see docs/errors.md#" + string(t) }

// storeTopic is that of a kind of store error.
func storeTopic(k store.Kind) topic {
	switch k {
	case store.NotFound:
		return topicNotFound
	case store.Denied:
		return topicDenied
	case store.Unreachable:
		return topicStoreAway
	case store.Config:
		return topicConfig
	}
	return topicOther
}
