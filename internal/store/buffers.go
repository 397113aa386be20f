package store

const mib = 1 << 20

// buffers is what one writer holds in memory: with part size P, C parts at once
// and threshold P, S3 takes (C+1)·P + 1.4·P, Azure C·P, Google one chunk.
type buffers struct {
	part     int // bytes
	parallel int // parts of one object at once
}

// The sizes are measured: they keep all writers together at about a gibibyte
// or less up to 64 writers, and many writers need no parallel parts. Beyond
// that the sizes stay, because S3 allows no smaller parts.
func s3Buffers(writers int) buffers {
	if writers <= 16 {
		return buffers{8 * mib, 2}
	}
	return buffers{5 * mib, 1}
}

func azureBuffers(writers int) buffers {
	switch {
	case writers <= 16:
		return buffers{8 * mib, 2}
	case writers <= 64:
		return buffers{4 * mib, 2}
	}
	return buffers{4 * mib, 1}
}

func gcsBuffers(writers int) buffers {
	switch {
	case writers <= 16:
		return buffers{16 * mib, 1}
	case writers <= 64:
		return buffers{8 * mib, 1}
	}
	return buffers{4 * mib, 1}
}
