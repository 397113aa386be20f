package genesystest

import "strconv"

// attributes writes the participant data: a map of strings, which only jobs
// return. It stands last in a participant.
func (g *generator) attributes(r rng, lo, hi int) {
	if !g.attrs {
		return
	}
	n := lo + r.below(hi-lo+1)*r.below(101)*r.below(101)/10_000
	if n == 0 && r.percent(80) {
		return
	}
	if g.large {
		n += 20
	}
	g.open("attributes", '{')
	first := r.below(len(g.w.attributeKeys))
	for i := range min(n, len(g.w.attributeKeys)) {
		g.key(g.w.attributeKeys[(first+i)%len(g.w.attributeKeys)])
		switch k := r.below(24); {
		case k == 0:
			g.quote(pick(&r, g.w.oddValues))
		case k < 8:
			g.quote(strconv.Itoa(r.below(100_000_000)))
		case k < 10:
			g.quoteID(r.uid())
		default:
			g.quote(pick(&r, g.w.attributeValues))
		}
	}
	g.close('}')
}

// attributeKeys are JSON string contents. Some differ only in case, some hold
// blanks, some must not be taken for a path.
func attributeKeys() []string {
	return []string{
		"Account.Tier", "account.tier", "ACCOUNT.TIER", "IVR.Intent", "IVR.Language", "IVR.MenuPath",
		"IVR.Authenticated", "CRM.CaseNumber", "CRM.Case Number", "Survey.OptIn", "scriptId",
		"context.customField1", "context.customField1Label", "context.customField2",
		"customer.segment", "Customer Segment", "queue.priority", "EstimatedWaitSec", "lastIntent",
		"last intent", "bot.confidence", "bot.slots", "callback.window", "Order/Number", "Order\\/Line",
		"Gr\\u00f6\\u00dfe", "Größe (cm)", "住所", "الاسم", "emoji \\ud83d\\ude80", "key \\\"quoted\\\"",
		"path\\\\to\\\\thing", "a.b.c.d", "_internal", "$ref", "@type", "0", "true", "null", "",
		" leading blank", "trailing blank ", "conversationId", "cursor", "conversations",
		"Verified", "Locale", "Channel", "Campaign", "Consent", "Channel.Device", "Channel.Browser",
		"Cart.Value", "Cart.Items", "Loyalty.Points", "Loyalty.Level", "Promo.Code", "Region",
		"Store.Number", "Contract.End", "Contract.Type", "Invoice.Last", "Invoice.Due", "Device.Model",
		"Device.Firmware", "Session.Referrer", "Session.Page", "Risk.Score", "Risk.Reason", "Agent.Note",
	}
}

// attributeValues are plain: they make the bulk.
func attributeValues() []string {
	return []string{
		"Gold", "Silver", "Platinum", "billing_dispute", "order status", "password_reset", "en-US", "de-DE",
		"fr-FR", "ja-JP", "1>3>2", "2>1", "true", "false", "true", "false", "00012345", "N/A", "none", "web",
		"mobile", "Disputed late fee waived; follow-up mailed.", "Customer asked for a copy of the invoice.",
		"0.87", "0.93", "2025-11-03", "2026-01-31T23:59:59.999Z", "09:00-11:30", "B2B", "B2C", "standard",
		"Appointment moved to next week, confirmation sent.", "cancel_subscription", "upgrade", "yes", "no",
		"/account/orders", "Chrome", "Safari", "Android 15", "iOS 19.1", "X-200", "v3.4.1", "low", "medium",
		"high", "Escalated to second line after two attempts.", "spring sale", "NEWS10", "EMEA", "AMER", "APAC",
		"Replacement shipped; tracking number mailed.", "waiting for parts", "chargeback", "unknown", "new",
	}
}

// oddValues are those that careless readers and writers damage.
func oddValues() []string {
	return []string{
		"", " ", "caf\\u00e9", "café", "Zürich – Genève", "東京都千代田区", "مرحبا بالعالم", "שלום",
		"\\ud83d\\ude00 thanks", "😀👍🏽", "👩‍👩‍👧", "she said \\\"hello\\\"", "C:\\\\temp\\\\new", "a\\/b", "a/b",
		"</script><b>&amp;</b>", "\\u003c\\/script\\u003e", "line\\u2028separator", "line\u2028raw\u2029",
		"tab\\there", "first line\\nsecond line\\r\\n", "\\b\\f", "{\\\"json\\\":[1,2,{\\\"in\\\":\\\"side\\\"}]}",
		"]}", "}],\\\"cursor\\\":\\\"x\\\"", "=1+1", "'; --", "%00%2F", "1E400", "NaN", "-0", "null",
		"e\u0301 combining", "\u200b\u00a0", "𝒳𝒴", "\U0010fffd", "\\u007f\u007f",
		"A long remark that was pasted from another system, with tabs\\tand \\\"quotes\\\", dashes – and more: " +
			"Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.",
	}
}
