package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gcexport/gcexport/internal/report"
)

func newReport(p *Process) *cobra.Command {
	f := &verifyFlags{}
	var out string
	var media bool
	cmd := &cobra.Command{
		Use:   "report BUCKET [--out FILE]",
		Short: "Make a page of what a bucket holds",
		Long: `Make one HTML page of what a bucket holds: which days are there, begun or missing,
how many conversations each has, the sizes of the objects, the runs and what they
failed at. It is read from the manifests, and from no data unless --media is given;
'gcexport verify' proves those. The page needs no network and holds nothing of a
conversation.

` + exitCodes,
		Example: `  gcexport report s3://bucket/genesys --out report.html
  gcexport report ./out --start 2024-01-01 --end 2024-04-01 > report.html`,
		Args: p.bucketArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.bindEnv(cmd); err != nil {
				return err
			}
			return p.runReport(cmd.Context(), f, p.bucketOf(args), out, media)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&f.start, "start", "first instant of the range; by default that of the first chunk")
	fs.Var(&f.end, "end", "end of the range, not part of it")
	fs.StringVar(&out, "out", "", "file to write, which must not be there; by default the page goes to stdout")
	fs.BoolVar(&media, "media", false, "count conversations by media type too, for which all data of the range are read")
	f.log.add(fs)
	return cmd
}

// runReport is the report command.
func (p *Process) runReport(ctx context.Context, f *verifyFlags, bucketURL, out string, media bool) error {
	scope, err := f.scope()
	if err != nil {
		return err
	}
	display, err := p.openDisplay(&f.log)
	if err != nil {
		return err
	}
	defer display.close()
	bucket, err := openStore(ctx, bucketURL, 1, uploadStall, display.log)
	if err != nil {
		return err
	}
	defer bucket.Close()
	data, err := report.Gather(ctx, bucket.Bucket, &bucket.Object, bucket.Name, scope)
	switch {
	case errors.Is(err, report.ErrEmpty):
		return usageError(fmt.Sprintf("%s holds no export", bucket.Name), "check the bucket and the prefix in its URL")
	case err != nil:
		return atBucket(bucket.Name, err)
	}
	if media {
		if err := data.CountMedia(ctx, bucket.Bucket, &bucket.Object); err != nil {
			return atBucket(bucket.Name, err)
		}
	}
	var page bytes.Buffer
	if err := data.WriteHTML(&page); err != nil {
		return fmt.Errorf("make the page: %w", err)
	}
	if out == "" {
		_, err = p.Stdout.Write(page.Bytes())
		return err
	}
	return writeNew(out, page.Bytes())
}

// writeNew creates a file.
func writeNew(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return usageError(fmt.Sprintf("--out: %v", err), "name a file that is not there yet, in a directory that is")
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}
