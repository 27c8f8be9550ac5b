{{/*
What each component speaks to: one list, from which follow its variables, its mounted secrets and its network policy.

  database, broker                 the connection secrets
  blobs                            the pictures: a bucket, or a claim at /blobs
  models                           the place that model versions come from: a bucket, or a claim at /source
  site                             what Django is told: its key, its names, its limits
  token                            of the controller's account
  backups                          the place of the backups: a bucket, or a claim at /backups
  artifacts, mlflow-database       the bucket and the database of MLflow
  model-server, catalogue, mlflow  other pods of this release
*/}}
{{- define "vitrine.needs" -}}
catalogue: [database, broker, blobs, site]
relay: [database, broker, blobs, site]
writer: [database, broker, blobs, site]
# The doctor is run here, too, and looks at the model servers and the registry.
monitor: [database, broker, blobs, site, model-server, mlflow]
worker: [broker, blobs, model-server]
worker-interactive: [broker, blobs, model-server]
model-server: [models]
controller: [models, token, model-server, catalogue, mlflow]
mlflow: [artifacts, mlflow-database]
migrate: [database, token]
# The bytes go by the relay, when nothing names them any more.
trash: [database]
backup: [database, blobs, backups]
backup-check: [blobs, backups]
integrity: [database, blobs]
restore: [database, blobs, backups]
test: [database, broker, blobs, site, model-server, catalogue, mlflow]
{{- end }}

{{/* `true` if a component speaks to the object store. Takes: root, component. */}}
{{- define "vitrine.usesObjectStore" -}}
{{- $needs := index (include "vitrine.needs" .root | fromYaml) .component }}
{{- $values := .root.Values }}
{{- if or (and (has "blobs" $needs) (hasPrefix "s3://" $values.blobs.url))
          (and (has "models" $needs) (hasPrefix "s3://" $values.models.source.url))
          (and (has "backups" $needs) (hasPrefix "s3://" $values.backup.to))
          (and (has "artifacts" $needs) (hasPrefix "s3://" $values.mlflow.artifacts.url)) -}}
true
{{- end }}
{{- end }}

{{/*
Secrets as files, each only where it is needed: there they stand in no `kubectl describe`, no dump of an environment and in
no child's. Takes: root, component. Gives the sources of the projected volume `secrets`, or nothing.
*/}}
{{- define "vitrine.secrets.sources" -}}
{{- $values := .root.Values }}
{{- $needs := index (include "vitrine.needs" .root | fromYaml) .component }}
{{- $objectStore := include "vitrine.usesObjectStore" . }}
{{- if has "database" $needs }}
{{- include "vitrine.secrets.one" (dict "secret" $values.database.secret "path" "database-url") | nindent 0 }}
{{- include "vitrine.secrets.authority" (dict "ca" $values.database.ca "path" "database-ca.crt") }}
{{- end }}
{{- if has "broker" $needs }}
{{- include "vitrine.secrets.one" (dict "secret" $values.broker.secret "path" "queue-url") | nindent 0 }}
{{- include "vitrine.secrets.authority" (dict "ca" $values.broker.ca "path" "broker-ca.crt") }}
{{- end }}
{{- if has "site" $needs }}
{{- include "vitrine.secrets.one" (dict "secret" $values.site.secretKey.secret "path" "secret-key") | nindent 0 }}
{{- end }}
{{- if and (has "token" $needs) $values.controller.enabled }}
{{- include "vitrine.secrets.one" (dict "secret" $values.controller.token.secret "path" "catalogue-token") | nindent 0 }}
{{- end }}
{{- if $objectStore }}
{{- with $values.objectStore.secret }}
{{- if and .name (ne $.component "mlflow") }}
- secret:
    name: {{ .name }}
    items:
      - {key: {{ .accessKeyKey }}, path: s3-access-key}
      - {key: {{ .secretKeyKey }}, path: s3-secret-key}
{{- end }}
{{- end }}
{{- include "vitrine.secrets.authority" (dict "ca" $values.objectStore.ca "path" "object-store-ca.crt") }}
{{- end }}
{{- if and (has "backups" $needs) (hasPrefix "s3://" $values.backup.to) }}
{{- with $values.backup.objectStore.secret }}
{{- if .name }}
- secret:
    name: {{ .name }}
    items:
      - {key: {{ .accessKeyKey }}, path: backup-s3-access-key}
      - {key: {{ .secretKeyKey }}, path: backup-s3-secret-key}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes: secret (name, key), path. */}}
{{- define "vitrine.secrets.one" -}}
- secret:
    name: {{ .secret.name }}
    items:
      - {key: {{ .secret.key }}, path: {{ .path }}}
{{- end }}

{{/* Certificates to trust, out of a ConfigMap or a Secret, if either is named; begins a line. Takes: ca, path. */}}
{{- define "vitrine.secrets.authority" }}
{{- with .ca }}
{{- if .configMap }}
- configMap:
    name: {{ .configMap }}
    items:
      - {key: {{ .key }}, path: {{ $.path }}}
{{- else if .secret }}
- secret:
    name: {{ .secret }}
    items:
      - {key: {{ .key }}, path: {{ $.path }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The claim that a component keeps things in, or nothing: of the pictures or of the models. Takes: root, component. */}}
{{- define "vitrine.claim" -}}
{{- $needs := index (include "vitrine.needs" .root | fromYaml) .component }}
{{- if has "blobs" $needs }}
{{- .root.Values.blobs.existingClaim }}
{{- else if has "models" $needs }}
{{- .root.Values.models.source.existingClaim }}
{{- end }}
{{- end }}

{{/* The claim of the backups, or nothing. Takes: root, component. */}}
{{- define "vitrine.claimOfBackups" -}}
{{- if has "backups" (index (include "vitrine.needs" .root | fromYaml) .component) }}
{{- .root.Values.backup.persistentVolumeClaim }}
{{- end }}
{{- end }}

{{/* Where the backups are, as a pod sees it: a bucket, or the claim at /backups. */}}
{{- define "vitrine.backupPlace" -}}
{{- ternary "/backups" (trimSuffix "/" .Values.backup.to) (not (empty .Values.backup.persistentVolumeClaim)) }}
{{- end }}

{{/* Where the models come from, as a pod sees it: a bucket, or the claim at /source. */}}
{{- define "vitrine.modelSource" -}}
{{- ternary "/source" (trimSuffix "/" .Values.models.source.url) (not (empty .Values.models.source.existingClaim)) }}
{{- end }}
