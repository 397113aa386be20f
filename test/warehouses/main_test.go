package warehouses

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"testing"

	"github.com/gcexport/gcexport/test/stores/stores"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // the SDKs' own log, as the program does it
	here, err := os.Getwd()   // now: the S3 store changes it
	if err != nil {
		panic(err)
	}
	_ = os.Setenv(rootEnv, filepath.Join(here, "../.."))
	os.Exit(stores.Main(m))
}
