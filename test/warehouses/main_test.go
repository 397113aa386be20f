package warehouses

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMain(m *testing.M) {
	here, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	_ = os.Setenv(rootEnv, filepath.Join(here, "../.."))
	os.Exit(m.Run())
}
