{{- define "gcexport.name" -}}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{- end }}

{{- define "gcexport.labels" -}}
app.kubernetes.io/name: gcexport
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "gcexport.selector" -}}
app.kubernetes.io/name: gcexport
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What a job is, also that which a schedule makes. */}}
{{- define "gcexport.job" -}}
{{- $memory := add .Values.resources.memoryBase (mul .Values.export.workers .Values.resources.memoryPerWorker) -}}
{{- $doctor := eq .Values.kind "doctor" -}}
{{- $shards := ternary 1 (int .Values.shards) $doctor -}}
completions: {{ $shards }}
parallelism: {{ $shards }}
{{- if gt $shards 1 }}
completionMode: Indexed
backoffLimitPerIndex: {{ .Values.retries }}
{{- else }}
backoffLimit: {{ ternary 0 .Values.retries $doctor }}
{{- end }}
ttlSecondsAfterFinished: {{ .Values.keep }}
podFailurePolicy:
  rules:
    # A pod that is evicted or loses its node is replaced, and costs no try.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
    # Wrong usage (2), refused credentials (3): trying again does not help.
    - action: FailJob
      onExitCodes:
        containerName: gcexport
        operator: In
        values: [2, 3]
template:
  metadata:
    labels:
      {{- include "gcexport.selector" . | nindent 6 }}
      {{- with .Values.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with .Values.podAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    serviceAccountName: {{ include "gcexport.name" . }}
    automountServiceAccountToken: false
    restartPolicy: Never
    # The program ends within 10 seconds of SIGTERM.
    terminationGracePeriodSeconds: 30
    securityContext:
      runAsNonRoot: true
      runAsUser: 65532
      runAsGroup: 65532
      fsGroup: 65532
      seccompProfile:
        type: RuntimeDefault
    containers:
      - name: gcexport
        image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        args:
          {{- if $doctor }}
          - doctor
          - {{ .Values.export.bucket | quote }}
          {{- else }}
          - export
          - {{ .Values.export.bucket | quote }}
          - --start={{ .Values.export.start }}
          - --end={{ .Values.export.end }}
          - --workers={{ .Values.export.workers }}
          {{- if .Values.metrics.port }}
          - --listen=:{{ .Values.metrics.port }}
          {{- end }}
          {{- range .Values.export.args }}
          - {{ . | quote }}
          {{- end }}
          {{- end }}
        env:
          - name: GENESYSCLOUD_REGION
            value: {{ .Values.export.region | quote }}
          - name: GENESYSCLOUD_OAUTHCLIENT_ID_FILE
            value: /var/run/secrets/gcexport/client-id
          - name: GENESYSCLOUD_OAUTHCLIENT_SECRET_FILE
            value: /var/run/secrets/gcexport/client-secret
          {{- if not $doctor }}
          # How it ended, as the last line of the log.
          - name: GCEXPORT_OUTPUT
            value: json
          {{- end }}
          {{- if gt $shards 1 }}
          - name: GCEXPORT_SHARDS
            value: {{ .Values.shards | quote }}
          {{- end }}
          # The collector works harder before the kernel has to.
          - name: GOMEMLIMIT
            value: {{ printf "%dMiB" (div (mul $memory 8) 10) }}
          {{- with .Values.export.env }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        {{- if and .Values.metrics.port (not $doctor) }}
        ports:
          - name: metrics
            containerPort: {{ .Values.metrics.port }}
        livenessProbe:
          httpGet: { path: /healthz, port: metrics }
        readinessProbe:
          httpGet: { path: /readyz, port: metrics }
        {{- end }}
        resources:
          requests:
            cpu: {{ .Values.resources.cpu | quote }}
            memory: {{ $memory }}Mi
          limits:
            memory: {{ $memory }}Mi
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          capabilities:
            drop: [ALL]
        volumeMounts:
          - name: client
            mountPath: /var/run/secrets/gcexport
            readOnly: true
    volumes:
      - name: client
        secret:
          secretName: {{ .Values.secret }}
          defaultMode: 0440
    {{- with .Values.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.affinity }}
    affinity:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
