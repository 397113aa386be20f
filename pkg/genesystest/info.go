package genesystest

import "time"

// Info is what a program that runs a server tells its user.
type Info struct {
	ClientID, ClientSecret string
	// From and To bound when conversations start; there are Conversations of them.
	From, To      time.Time
	Conversations int64
	// Watermark is dataAvailabilityDate as of now.
	Watermark time.Time
	// RequestsPerMinute is the allowance of a token; negative means no limit.
	RequestsPerMinute int
	// Faults are the rules in their text form.
	Faults []string
}

// Info describes the server.
func (s *Server) Info() Info {
	o := s.opt
	info := Info{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret,
		From: o.From.UTC(), To: o.To.UTC(), Conversations: s.Count(o.From, o.To),
		Watermark: s.watermark(), RequestsPerMinute: o.RequestsPerMinute,
	}
	for _, f := range o.Faults {
		info.Faults = append(info.Faults, f.String())
	}
	return info
}
