package record_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gcexport/gcexport/pkg/record"
)

// seeds are small pages with all that a page can have in it.
var seeds = []string{
	`{}`,
	`{"conversations":[]}`,
	`{"conversations":null,"cursor":null}`,
	`{"conversations":[{"conversationId":"a","conversationStart":"2024-03-01T12:34:56.789Z","conversationEnd":"2024-03-02T12:34:56Z","x":[1,2.50,-3e+7,0.1E-2]}],"cursor":"Y3Vyc29y","dataAvailabilityDate":"2024-03-05T02:00:00Z"}`,
	"{\n  \"conversations\" : [ {\n \"conversationId\" : \"b\" ,\t\"p\": [ { } , [ ] , [ { \"q\" : null } ] ],\r\n\"conversationStart\":\"2024-03-01T01:00:00+02:00\" } ,\n {} ] ,\n \"totalHits\" : 17\n}\n",
	`{"aggregations":[{"count":1,"results":[{}]}],"conversations":[{"a":{"conversationId":"no"},"conversationId":"ä\u00e4\ud83d\ude00\ud800","conversationId":"second"},{"b":"\"\\\/\b\f\n\r\t"}],"totalHits":9007199254740993}`,
	`{"code":"bad.request","message":"Pagination may not exceed 100000 results.","status":400,"errors":[]}`,
	`{"conversations":[{"conversation\u0049d":"esc","\u0063onversationStart":"2024-02-29T00:00:00Z","t":true,"f":false,"n":null,"日本":"語","e":"é€😀"}]}`,
	`{"conversations":[{"d":[[[[[[[[[]]]]]]]]]},{"d":[[[[[[[[[[]]]]]]]]]]}]}`,
	`{"cursor":"a","conversations":[{"conversationId":7,"conversationStart":"soon"},{"conversationId":null,"conversationId":"late"}],"code":5,"message":{},"totalHits":1e3,"dataAvailabilityDate":false}`,
	`{"conversations":[{"k":{"a":1,"b":{"a":2},"\u0061":3},"attributes":{"x\"y":"\ud83d\ude00","x\u0022y":"\ud83dx"}},{"n":[1e400,-1e308,"\u0000","\\u0000","\udc00\ud800"]}]}`,
	`{"conversations":[{"conversationId":"0123456789abcdef0123456789abcdef0123456789abcdef","wrapUpNote":"` + "a long note without anything special in it, but with a ÿ near its end" + `"}]}`,
}

// bits are what mutations put in.
var bits = []string{
	`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", "\t", "\x00", "\x1f", "\x7f", "\x80", "\xff", "\xc3", "\xe2\x82", "\xed\xa0\x80",
	"\xf4\x90\x80\x80", "é", "\u2028", `\u00`, `\ud800`, `\u12g4`, `\x`, `0`, `-`, `.`, `e`, `+`, `1`, `01`, `-0`, `1.`, `1e5`, `true`, `nul`, `null`, `[]`, `{}`, `""`, `"a":1`,
	`"cursor":"x",`, `"conversations":[],`, `"conversationId":"z",`, `{"conversations":[]}`, "\ufeff", `\u0000`, `\ud83d\ude00`, `\udc00`, `1e400`, `"\u0061":`, `"a":{"b":1,"a":2},`, `NaN`, `/**/`, "        ", strings.Repeat("[", maxDepth),
}

// mutate returns a page that is not quite right any more, or still is.
func mutate(r *rand.Rand, page string) []byte {
	b := []byte(page)
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			break
		}
		i := r.IntN(len(b))
		j := min(i+1+r.IntN(20), len(b))
		switch r.IntN(8) {
		case 0:
			b[i] = byte(r.IntN(256))
		case 1:
			b[i] ^= 1 << r.IntN(8)
		case 2:
			b = slices.Delete(b, i, i+1)
		case 3:
			b = slices.Delete(b, i, j)
		case 4:
			b = slices.Insert(b, i, []byte(bits[r.IntN(len(bits))])...)
		case 5:
			b = slices.Insert(b, j, slices.Clone(b[i:j])...)
		case 6:
			b[i], b[j-1] = b[j-1], b[i]
		case 7:
			if r.IntN(4) == 0 {
				b = b[:i]
			} else {
				bit := bits[r.IntN(len(bits))]
				b = slices.Replace(b, i, min(i+len(bit), len(b)), []byte(bit)...)
			}
		}
	}
	return b
}

// TestScanAgrees compares the scanner with encoding/json on pages that are
// damaged in all ways, with the end of the window everywhere.
func TestScanAgrees(t *testing.T) {
	rounds := 4000
	if testing.Short() {
		rounds = 400
	}
	for _, window := range []int{1, 2, 3, 7, 8, 9, 16, 33, 64 << 10} {
		t.Run("window "+strconv.Itoa(window), func(t *testing.T) {
			t.Parallel()
			s := record.NewScanner(record.Options{MaxDepth: maxDepth})
			s.SetWindow(window)
			for _, seed := range seeds {
				agree(t, s, []byte(seed))
			}
			r := rand.New(rand.NewPCG(uint64(window), 7))
			accepted := 0
			for range rounds {
				body := mutate(r, seeds[r.IntN(len(seeds))])
				agree(t, s, body)
				if oracle(body, maxDepth).OK {
					accepted++
				}
			}
			if accepted < rounds/50 || accepted > rounds*9/10 {
				t.Errorf("%d of %d mutated pages are good: that does not test much", accepted, rounds)
			}
		})
	}
}

// TestScanAgreesOnConversations does the same on pages of the usual make,
// compact and indented.
func TestScanAgreesOnConversations(t *testing.T) {
	g := newSynth(3)
	compact := string(g.page(4))
	pages := []string{compact, string(indent([]byte(compact)))}
	r := rand.New(rand.NewPCG(5, 5))
	s := record.NewScanner(record.Options{MaxDepth: maxDepth})
	for _, window := range []int{1, 64, 1000, 64 << 10} {
		s.SetWindow(window)
		for _, page := range pages {
			agree(t, s, []byte(page))
			for range 10 {
				agree(t, s, mutate(r, page))
			}
		}
	}
}

// FuzzScan is TestScanAgrees with the mutations left to the fuzzer.
func FuzzScan(f *testing.F) {
	for i, seed := range seeds {
		f.Add([]byte(seed), uint16(i*i))
	}
	f.Fuzz(func(t *testing.T, body []byte, window uint16) {
		s := record.NewScanner(record.Options{MaxDepth: maxDepth})
		s.SetWindow(1 + int(window))
		agree(t, s, body)
	})
}

// TestScanAgreesOnTokens tries all tokens of a few bytes.
func TestScanAgreesOnTokens(t *testing.T) {
	s := record.NewScanner(record.Options{MaxDepth: maxDepth})
	s.SetWindow(3)
	try := func(before, token, after string) {
		agree(t, s, []byte(`{"conversations":[{"a":`+before+token+after+`}]}`))
	}
	most := 5
	if testing.Short() {
		most = 3
	}
	words := []string{""}
	for range most {
		longer := []string{}
		for _, word := range words {
			try(``, word, ``)
			try(`[`, word, ` ,1]`)
			for _, c := range "-+.05eE" {
				longer = append(longer, word+string(c))
			}
		}
		words = longer
	}
	for _, word := range []string{"true", "false", "null"} {
		for i := range len(word) + 1 {
			try(``, word[:i], ``)
			try(``, word[:i]+"x"+word[i:], ``)
			try(``, strings.ToUpper(word[:i])+word[i:], ``)
		}
	}
	for c := range 256 {
		b := string([]byte{byte(c)})
		try(``, b, ``)
		try(`1`, b, ``)
		try(`[]`, b, `[]`)
		try(`"`, b, `"`)
		try(`"\`, b, `"`)
		try(`"\u12`, b, `4"`)
		for d := 0; d < 256 && !testing.Short(); d++ {
			try(`"`, b+string([]byte{byte(d)}), `"`)
		}
	}
	for _, c := range []byte{0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff} {
		for _, d := range []byte{0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0} {
			for _, e := range []string{"", "\x7f", "\x80", "\xbf", "\xc0", "\x80\x7f", "\x80\x80", "\xbf\xbf", "\x80\xc0"} {
				try(`"xxxx`, string([]byte{c, d})+e, `xxxxxxxxxx"`)
			}
		}
	}
}
