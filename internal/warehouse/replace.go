package warehouse

import (
	"regexp"
	"slices"
	"strings"
)

// A Placeholder is what only the user knows.
type Placeholder struct {
	// Word stands in the kit where the value belongs.
	Word string
	// Meaning says what belongs there, and where it is found.
	Meaning string
}

const placeholderMark = "REPLACE_"

// A slot is something that a kit may need and that no bucket URL says.
type slot struct {
	name, meaning string
	// form is what a value looks like; nil for a secret, which no flag takes.
	form *regexp.Regexp
}

// slots are all that there are.
var slots = []slot{
	{"AWS_ACCOUNT_ID", "the AWS account, 12 digits: aws sts get-caller-identity", regexp.MustCompile(`^[0-9]{12}$`)},
	{"AWS_REGION", "the region of the bucket, such as eu-central-1 (or ?region= in the bucket URL)", regionName},
	{"STORAGE_ACCOUNT", "the Azure storage account (or AZURE_STORAGE_ACCOUNT, or ?storage_account= in the bucket URL)", accountName},
	{"AZURE_SUBSCRIPTION_ID", "the Azure subscription: az account show --query id", guid},
	{"AZURE_TENANT_ID", "the Azure tenant: az account show --query tenantId", guid},
	{"AZURE_RESOURCE_GROUP", "the resource group of the storage account", regexp.MustCompile(`^[A-Za-z0-9_.-]{1,90}$`)},
	{"AZURE_PRINCIPAL_ID", "object id of the identity that may read, as the comment above says", guid},
	{"GCP_PROJECT", "the Google Cloud project: gcloud config get project", regexp.MustCompile(`^[a-z][a-z0-9-]{4,28}[a-z0-9]$`)},
	{"GCP_LOCATION", "the location of the bucket, such as EU or europe-west3; the BigQuery dataset must have the same", regexp.MustCompile(`^[A-Za-z0-9-]{2,40}$`)},
	{"SNOWFLAKE_PRINCIPAL", "what DESC INTEGRATION shows, as the comment above says", principal},
	{"SNOWFLAKE_EXTERNAL_ID", "STORAGE_AWS_EXTERNAL_ID, as DESC INTEGRATION shows it", regexp.MustCompile(`^[A-Za-z0-9_=+,.@:/-]{2,500}$`)},
	{"SNOWFLAKE_QUEUE_ARN", "notification_channel, as SHOW PIPES shows it", regexp.MustCompile(`^arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}$`)},
	{"SNOWFLAKE_NOTIFICATION_PRINCIPAL", "what DESC NOTIFICATION INTEGRATION shows, as the comment above says", principal},
	{"DATABRICKS_UC_ROLE_ARN", "the role of Unity Catalog, as the storage credential shows it", regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,128}$`)},
	{"DATABRICKS_EXTERNAL_ID", "the external id, as the storage credential shows it", regexp.MustCompile(`^[A-Za-z0-9_=+,.@:/-]{2,500}$`)},
	{"DATABRICKS_SERVICE_ACCOUNT", "the service account of the storage credential, as its answer shows it", principal},
	{"REDSHIFT_NAMESPACE_ARN", "the ARN of the cluster's or workgroup's namespace", regexp.MustCompile(`^arn:aws[a-z-]*:redshift(-serverless)?:[a-z0-9-]+:[0-9]{12}:namespace[:/][A-Za-z0-9-]{1,64}$`)},
	{"ATHENA_RESULTS_BUCKET", "the bucket that Athena writes results to", bucketName},
	{"CLICKHOUSE_ROLE_ARN", "the role that the ClickHouse service takes on, as its settings show it", regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,128}$`)},
	{"GCS_HMAC_KEY_ID", "the id of an HMAC key: gcloud storage hmac create SERVICE_ACCOUNT", regexp.MustCompile(`^[A-Z0-9]{20,80}$`)},
	{"GCS_HMAC_SECRET", "the secret of that HMAC key; type it where the statement is run, keep it out of files", nil},
	{"AZURE_STORAGE_KEY", "a key of the storage account; type it where the statement is run, keep it out of files", nil},
	{"FABRIC_PRINCIPAL_ID", "object id of the workspace identity: workspace settings, Workspace identity", guid},
}

var (
	guid      = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	principal = regexp.MustCompile(`^[A-Za-z0-9_=+,.@:/-]{3,256}$`)
)

func slotOf(name string) (slot, bool) {
	i := slices.IndexFunc(slots, func(s slot) bool { return s.name == name })
	if i < 0 {
		return slot{}, false
	}
	return slots[i], true
}

// checkSet refuses values for words that no kit has, or of another form.
func checkSet(set map[string]string) error {
	for name, value := range set {
		s, ok := slotOf(strings.TrimPrefix(name, placeholderMark))
		if !ok {
			return refuse("the head of the kit lists the words that can be set", "--set %.40q: no kit asks for it", name)
		}
		if s.form == nil {
			return refuse("replace the word where the statement is run", "--set %s: a secret does not belong into flags or files", name)
		}
		if !s.form.MatchString(value) {
			return refuse("it is "+s.meaning, "--set %s: %q does not look like one", name, value)
		}
	}
	return nil
}
