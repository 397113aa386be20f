// Package genesys reads conversations from the Genesys Cloud Analytics API.
//
// A [Client] stands for one organisation and one OAuth client: one token, one
// pool of connections, one budget of requests. Everything that it sends takes
// its turn at the same limiter, and an answer "too many requests" to one caller
// pauses all of them. A Client is safe for concurrent use; make one, share it.
// Where an organisation allows several OAuth clients, a [Pool] shares out the
// work among them.
//
// Two sources are built on it. [Jobs] reads the results of asynchronous details
// jobs: bulk, with participant attributes, complete up to [Jobs.Watermark].
// [Queries] reads the synchronous details query: fresh, without attributes.
// Both give pages as they came over the wire; [Jobs.Pages] says what is asked
// of the consumer.
//
// Errors are typed: [*Error] for an answer that is a refusal, [*ConnError] for
// an answer that did not come, or not whole, [*JobError] for a job that ended
// badly, [*PageError] for a page that stayed damaged. None of them holds a
// secret or data of a conversation. When a context ends, the error is its cause.
package genesys
