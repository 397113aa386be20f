package warehouse

// kind is the type of a column; each dialect has its own word for it.
const (
	kindText  = "text"
	kindTime  = "time"
	kindInt   = "int"
	kindFloat = "float"
	kindBool  = "bool"
	kindJSON  = "json"
)

// A column is a member of an object of the API and the name that it has in a
// view.
type column struct{ Name, Key, Kind string }

// A view has one row for each element of an array of the view below it.
type view struct {
	Name string
	// From is the view that holds the array, in its column From.Array.
	From string
	// Array is the array's column there; ArrayKey its key in the API's object.
	Array, ArrayKey string
	// Index is the column that counts the elements from 0.
	Index string
	// Keep are the columns that come from below.
	Keep    []string
	Columns []column
}

// topColumns are what the view of conversations shows of the record itself. The
// arrays are those that other views take apart.
var topColumns = []column{
	{"originating_direction", "originatingDirection", kindText},
	{"conversation_initiator", "conversationInitiator", kindText},
	{"external_tag", "externalTag", kindText},
	{"division_ids", "divisionIds", kindJSON},
	{"participants", "participants", kindJSON},
	{"evaluations", "evaluations", kindJSON},
	{"surveys", "surveys", kindJSON},
}

var (
	keepConversation = []string{"conversation_id", "conversation_start"}
	keepParticipant  = []string{"conversation_id", "conversation_start", "participant_id", "purpose", "user_id"}
	keepSession      = []string{"conversation_id", "conversation_start", "participant_id", "purpose", "user_id", "session_id", "media_type"}
)

// views are the flattened views, each after the one that it is made from.
// Members that the API may add are in the record; a view shows those that
// people ask for.
var views = []view{
	{"participants", "conversations", "participants", "participants", "participant_index", keepConversation, []column{
		{"participant_id", "participantId", kindText},
		{"participant_name", "participantName", kindText},
		{"purpose", "purpose", kindText},
		{"user_id", "userId", kindText},
		{"team_id", "teamId", kindText},
		{"external_contact_id", "externalContactId", kindText},
		{"attributes", "attributes", kindJSON},
		{"sessions", "sessions", kindJSON},
	}},
	{"sessions", "participants", "sessions", "sessions", "session_index", keepParticipant, []column{
		{"session_id", "sessionId", kindText},
		{"media_type", "mediaType", kindText},
		{"message_type", "messageType", kindText},
		{"direction", "direction", kindText},
		{"provider", "provider", kindText},
		{"ani", "ani", kindText},
		{"dnis", "dnis", kindText},
		{"used_routing", "usedRouting", kindText},
		{"outbound_campaign_id", "outboundCampaignId", kindText},
		{"flow", "flow", kindJSON},
		{"segments", "segments", kindJSON},
		{"metrics", "metrics", kindJSON},
	}},
	{"segments", "sessions", "segments", "segments", "segment_index", keepSession, []column{
		{"segment_type", "segmentType", kindText},
		{"segment_start", "segmentStart", kindTime},
		{"segment_end", "segmentEnd", kindTime},
		{"queue_id", "queueId", kindText},
		{"wrap_up_code", "wrapUpCode", kindText},
		{"disconnect_type", "disconnectType", kindText},
		{"conference", "conference", kindBool},
	}},
	{"metrics", "sessions", "metrics", "metrics", "metric_index", keepSession, []column{
		{"metric_name", "name", kindText},
		{"metric_value", "value", kindInt},
		{"emit_date", "emitDate", kindTime},
	}},
	{"evaluations", "conversations", "evaluations", "evaluations", "evaluation_index", keepConversation, []column{
		{"evaluation_id", "evaluationId", kindText},
		{"evaluation_status", "evaluationStatus", kindText},
		{"evaluator_id", "evaluatorId", kindText},
		{"user_id", "userId", kindText},
		{"queue_id", "queueId", kindText},
		{"form_id", "formId", kindText},
		{"form_name", "formName", kindText},
		{"event_time", "eventTime", kindTime},
		{"released", "released", kindBool},
		{"rescored", "rescored", kindBool},
		{"total_score", "oTotalScore", kindFloat},
		{"total_critical_score", "oTotalCriticalScore", kindFloat},
	}},
	{"surveys", "conversations", "surveys", "surveys", "survey_index", keepConversation, []column{
		{"survey_id", "surveyId", kindText},
		{"survey_status", "surveyStatus", kindText},
		{"survey_type", "surveyType", kindText},
		{"survey_form_id", "surveyFormId", kindText},
		{"survey_form_name", "surveyFormName", kindText},
		{"user_id", "userId", kindText},
		{"queue_id", "queueId", kindText},
		{"event_time", "eventTime", kindTime},
		{"completed_date", "surveyCompletedDate", kindTime},
		{"promoter_score", "surveyPromoterScore", kindInt},
		{"total_score", "oSurveyTotalScore", kindFloat},
	}},
}
