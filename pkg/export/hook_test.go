package export

// Squeeze bounds what is otherwise chosen for the memory of real machines.
func (v *Verifier) Squeeze(idBits int64, suspects int) { v.idBits, v.suspects = idBits, suspects }

// Unwatched keeps a run from looking at the bucket beside its chunks.
func Unwatched(e *Exporter) { e.unwatched = true }

// Blank is what takes the place of a part that never came.
func Blank() []byte { return blank() }
