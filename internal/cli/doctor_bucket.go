package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/dustin/go-humanize"
	"gocloud.dev/gcerrors"

	"github.com/gcexport/gcexport/internal/doctor"
	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/pkg/export"
)

// doctorFolder is where the doctor tries whether it may write.
const doctorFolder = "_gcexport/doctor/"

func (c *patient) bucketChecks() []doctor.Check {
	return []doctor.Check{
		{Name: "bucket", Do: c.openBucket},
		{Name: "list", Needs: []string{"bucket"}, Do: c.checkList},
		{Name: "create", Needs: []string{"list"}, Do: c.checkCreate},
		{Name: "no replacing", Needs: []string{"create"}, Do: c.checkReplace},
		{Name: "read", Needs: []string{"create"}, Do: c.checkRead},
		{Name: "large object", Needs: []string{"no replacing"}, Do: c.checkLarge},
		{Name: "abort", Needs: []string{"create"}, Do: c.checkAbort},
		{Name: "lifecycle", Needs: []string{"list"}, Do: c.checkLifecycle},
		{Name: "tidy up", Needs: []string{"create"}, Do: c.checkTidy},
	}
}

// doctorWriters has upload buffers chosen small, so that an object of two parts
// is not large.
const doctorWriters = 256

func (c *patient) openBucket(ctx context.Context) (_ string, err error) {
	c.store, err = store.Open(ctx, c.bucketURL, store.Options{Writers: doctorWriters, Stall: checkLimit, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	return c.store.Name, nil
}

func (c *patient) checkList(ctx context.Context) (string, error) {
	if err := c.store.Check(ctx); err != nil {
		return "", err
	}
	inv, err := export.TakeInventory(ctx, c.store.Bucket, export.Layout{Dataset: export.Conversations})
	if err != nil {
		if ctx.Err() != nil { // there is too much to list it all here
			return "the bucket is there and may be listed", nil
		}
		return "", atBucket(c.store.Name, err)
	}
	return fmt.Sprintf("the bucket is there and may be listed: %s done, %s open", count(len(inv.Committed), "chunk"), count(len(inv.Open), "chunk")), nil
}

// write creates an object to try, and remembers it.
func (c *patient) write(ctx context.Context, key string, data []byte) error {
	err := object.Write(ctx, c.store.Bucket, key, &c.store.Object, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err == nil {
		c.left = append(c.left, key)
	}
	return err
}

func trialKey() string { return doctorFolder + rand.Text() + ".txt" }

var trial = []byte("written by gcexport doctor; may be deleted\n")

func (c *patient) checkCreate(ctx context.Context) (string, error) {
	if err := c.write(ctx, trialKey(), trial); err != nil {
		return "", atBucket(c.store.Name, err)
	}
	return "objects may be created", nil
}

func (c *patient) checkReplace(ctx context.Context) (string, error) {
	switch err := c.write(ctx, c.left[0], trial); {
	case err == nil:
		return "", export.ErrOverwrites
	case errors.Is(err, object.ErrExists):
		return "an object that is there is not replaced", nil
	default:
		return "", atBucket(c.store.Name, err)
	}
}

func (c *patient) checkRead(ctx context.Context) (string, error) {
	data, err := object.Read(ctx, c.store.Bucket, c.left[0], &c.store.Object, 1<<20)
	if err != nil {
		return "", atBucket(c.store.Name, err)
	}
	if !bytes.Equal(data, trial) {
		return "", fmt.Errorf("%s gives back other bytes than were written", c.store.Name)
	}
	return "objects may be read", nil
}

// checkLarge tries an object of several parts, for which stores that speak S3
// have requests of their own; elsewhere it is written like any other.
func (c *patient) checkLarge(ctx context.Context) (string, error) {
	part := c.store.Object.Writer.BufferSize
	if c.store.Scheme != "s3" || part == 0 {
		return "written like a small one", nil
	}
	key, data := trialKey(), make([]byte, part+1)
	if err := c.write(ctx, key, data); err != nil {
		if ctx.Err() != nil {
			return "", slowLine(len(data))
		}
		return "", atBucket(c.store.Name, err)
	}
	switch err := c.write(ctx, key, data); {
	case err == nil:
		return "", export.ErrOverwrites
	case errors.Is(err, object.ErrExists):
		return "an object of several parts may be created, and is not replaced", nil
	case ctx.Err() != nil:
		return "", slowLine(len(data))
	default:
		return "", atBucket(c.store.Name, err)
	}
}

func slowLine(size int) error {
	return &doctor.Advice{Detail: fmt.Sprintf("two uploads of %s took more than %v", humanize.IBytes(uint64(size)), checkLimit),
		Hint: "an export over this line takes long: run it near the bucket"}
}

// checkAbort wants an upload that is given up to leave no object.
func (c *patient) checkAbort(ctx context.Context) (string, error) {
	key, given := trialKey(), errors.New("given up")
	err := object.Write(ctx, c.store.Bucket, key, &c.store.Object, func(w io.Writer) error {
		if _, err := w.Write(trial); err != nil {
			return err
		}
		return given
	})
	if err != given {
		return "", atBucket(c.store.Name, err)
	}
	_, err = c.store.Bucket.Attributes(ctx, key)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return "an upload that is given up leaves no object", nil
	case err == nil:
		c.left = append(c.left, key)
		return "", fmt.Errorf("%s keeps an object whose upload was given up", c.store.Name)
	}
	return "", atBucket(c.store.Name, err)
}

// checkLifecycle looks for the rule that removes what killed uploads leave.
func (c *patient) checkLifecycle(ctx context.Context) (string, error) {
	known, removes := c.store.RemovesUploads(ctx)
	switch {
	case removes:
		return "what uploads leave that were killed is removed", nil
	case known:
		return "", &doctor.Advice{Detail: "nothing removes what uploads leave that were killed, and it is billed",
			Hint: "give the bucket a rule for incomplete uploads: docs/operations.md has the command"}
	}
	return "", &doctor.Advice{Detail: "the rules of the bucket may not be seen",
		Hint: "make sure that one removes incomplete uploads after some days: docs/operations.md has the command"}
}

// checkTidy deletes what was written for trying. An export never needs that right.
func (c *patient) checkTidy(ctx context.Context) (string, error) {
	kept := 0
	for _, key := range c.left {
		if c.store.Bucket.Delete(ctx, key) != nil {
			kept++
		}
	}
	if kept > 0 {
		return fmt.Sprintf("deleting is not allowed, and not needed: %s left below %s", count(kept, "object"), doctorFolder), nil
	}
	return "what was written for trying is deleted", nil
}
