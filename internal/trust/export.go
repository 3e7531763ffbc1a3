package trust

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Export writes the public log with the trust document beside it into a
// directory that package verify, and any tlog-tiles tool, can read.
func (t *Trust) Export(ctx context.Context, dir string, progress func(done, total int)) error {
	// The document first: what it cites is then within the checkpoint.
	b, err := t.JSON(ctx)
	if err != nil {
		return err
	}
	if err := t.log.Export(ctx, dir, progress); err != nil {
		return err
	}
	tmp := filepath.Join(dir, ".trust.json")
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return fmt.Errorf("exporting the trust document: %w", err)
	}
	return os.Rename(tmp, filepath.Join(dir, "trust.json"))
}
