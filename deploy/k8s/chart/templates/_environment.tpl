{{/*
The variables of a component, by what it needs. Takes: root, component. Values stand here and in no ConfigMap: a changed one is
a changed pod, which rolls by itself, and the job of the migrations needs nothing that is made after it.
*/}}
{{- define "vitrine.environment" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
{{- $needs := index (include "vitrine.needs" .root | fromYaml) .component }}
{{- if has "database" $needs }}
- {name: DATABASE_URL_FILE, value: /etc/vitrine/secrets/database-url}
{{- if or $values.database.ca.configMap $values.database.ca.secret }}
# libpq's own; the address says with sslmode=verify-full that it matters.
- {name: PGSSLROOTCERT, value: /etc/vitrine/secrets/database-ca.crt}
{{- end }}
{{- end }}
{{- if has "broker" $needs }}
- {name: VITRINE_QUEUE_URL_FILE, value: /etc/vitrine/secrets/queue-url}
{{- if or $values.broker.ca.configMap $values.broker.ca.secret }}
- {name: VITRINE_QUEUE_CA_FILE, value: /etc/vitrine/secrets/broker-ca.crt}
{{- end }}
{{- end }}
{{- if has "blobs" $needs }}
- {name: VITRINE_BLOB_URL, value: {{ ternary "file:///blobs" $values.blobs.url (not (empty $values.blobs.existingClaim)) | quote }}}
- {name: VITRINE_MAX_UPLOAD_BYTES, value: {{ int64 $values.site.maxUploadBytes | quote }}}
- {name: VITRINE_MAX_PIXELS, value: {{ int64 $values.site.maxPixels | quote }}}
{{- end }}
{{- if and (include "vitrine.usesObjectStore" .) (ne .component "mlflow") }}
{{- include "vitrine.environment.objectStore" .root }}
{{- end }}
{{- if and (has "backups" $needs) (hasPrefix "s3://" $values.backup.to) }}
{{- include "vitrine.environment.backups" .root }}
{{- end }}
{{- if has "site" $needs }}
- {name: VITRINE_SECRET_KEY_FILE, value: /etc/vitrine/secrets/secret-key}
- name: VITRINE_ALLOWED_HOSTS
  value: {{ include "vitrine.allowedHosts" .root | quote }}
{{- with include "vitrine.origins" .root }}
- name: VITRINE_TRUSTED_ORIGINS
  value: {{ . | quote }}
{{- end }}
- {name: VITRINE_HTTPS, value: {{ ternary "1" "0" $values.site.https | quote }}}
{{- end }}
{{- if or (has "site" $needs) (eq .component "trash") }}
- {name: VITRINE_TRASH_DAYS, value: {{ int64 $values.trash.days | quote }}}
{{- end }}
{{- if eq .component "catalogue" }}
- {name: VITRINE_CONVERT_MEMORY_BYTES, value: {{ int64 $values.site.convertMemoryBytes | quote }}}
{{- end }}
{{- if or (has "model-server" $needs) (has "site" $needs) (has "models" $needs) }}
- {name: VITRINE_MODEL_NAME, value: {{ $values.models.name | quote }}}
{{- end }}
{{- if has "model-server" $needs }}
- {name: VITRINE_MODEL_SERVERS, value: {{ include "vitrine.modelServers" .root | quote }}}
{{- end }}
{{- if and (has "mlflow" $needs) (include "vitrine.mlflowUrl" .root) }}
- {name: MLFLOW_TRACKING_URI, value: {{ include "vitrine.mlflowUrl" .root | quote }}}
{{- end }}
{{- end }}

{{/* Begins a line, if it has any. */}}
{{- define "vitrine.environment.objectStore" }}
{{- with .Values.objectStore }}
{{- if .endpoint }}
- {name: VITRINE_S3_ENDPOINT, value: {{ .endpoint | quote }}}
{{- end }}
{{- if .publicEndpoint }}
- {name: VITRINE_S3_PUBLIC_ENDPOINT, value: {{ .publicEndpoint | quote }}}
{{- end }}
{{- if .region }}
- {name: VITRINE_S3_REGION, value: {{ .region | quote }}}
{{- end }}
{{- if .sse }}
- {name: VITRINE_S3_SSE, value: {{ .sse | quote }}}
{{- end }}
{{- if .sseKmsKeyId }}
- {name: VITRINE_S3_SSE_KMS_KEY_ID, value: {{ .sseKmsKeyId | quote }}}
{{- end }}
{{- if .secret.name }}
- {name: VITRINE_S3_ACCESS_KEY_FILE, value: /etc/vitrine/secrets/s3-access-key}
- {name: VITRINE_S3_SECRET_KEY_FILE, value: /etc/vitrine/secrets/s3-secret-key}
{{- end }}
{{- if or .ca.configMap .ca.secret }}
- {name: AWS_CA_BUNDLE, value: /etc/vitrine/secrets/object-store-ca.crt}
{{- end }}
{{- end }}
{{- end }}

{{/* What differs from the object store of the pictures. Begins a line, if it has any. */}}
{{- define "vitrine.environment.backups" }}
{{- with .Values.backup.objectStore }}
{{- if .endpoint }}
- {name: VITRINE_BACKUP_S3_ENDPOINT, value: {{ .endpoint | quote }}}
{{- end }}
{{- if .region }}
- {name: VITRINE_BACKUP_S3_REGION, value: {{ .region | quote }}}
{{- end }}
{{- if .sse }}
- {name: VITRINE_BACKUP_S3_SSE, value: {{ .sse | quote }}}
{{- end }}
{{- if .sseKmsKeyId }}
- {name: VITRINE_BACKUP_S3_SSE_KMS_KEY_ID, value: {{ .sseKmsKeyId | quote }}}
{{- end }}
{{- if .secret.name }}
- {name: VITRINE_BACKUP_S3_ACCESS_KEY_FILE, value: /etc/vitrine/secrets/backup-s3-access-key}
- {name: VITRINE_BACKUP_S3_SECRET_KEY_FILE, value: /etc/vitrine/secrets/backup-s3-secret-key}
{{- end }}
{{- end }}
{{- end }}

{{/* Under which names the site answers: people's, and those under which other pods and `kubectl port-forward` ask it. */}}
{{- define "vitrine.allowedHosts" -}}
{{- $service := printf "%s-catalogue" (include "vitrine.fullname" .) }}
{{- $inside := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) }}
{{- join "," (concat .Values.site.hosts $inside (list "localhost" "127.0.0.1")) }}
{{- end }}

{{/* Whose forms are taken behind a proxy. */}}
{{- define "vitrine.origins" -}}
{{- $origins := list }}
{{- range .Values.site.hosts }}
{{- $origins = append $origins (printf "%s://%s" (ternary "https" "http" $.Values.site.https) .) }}
{{- end }}
{{- join "," $origins }}
{{- end }}
