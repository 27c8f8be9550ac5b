{{/* The name of the chart, or what the values call it. */}}
{{- define "vitrine.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 36 | trimSuffix "-" }}
{{- end }}

{{/*
The name that everything of this release begins with. Names of Services and values of labels have 63 characters, and the
longest that is put behind it has 27 (`-worker-interactive-metrics`).
*/}}
{{- define "vitrine.fullname" -}}
{{- $name := include "vitrine.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 36 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 36 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "vitrine.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Labels of an object. Takes: root, component (or nothing for what belongs to none), extra (more of them; optional). */}}
{{- define "vitrine.labels" -}}
helm.sh/chart: {{ include "vitrine.chart" .root }}
{{ include "vitrine.podLabels" . }}
{{- end }}

{{/* Labels of a pod: without the chart's version, or every new one would restart everything. Takes: root, component, extra. */}}
{{- define "vitrine.podLabels" -}}
{{ include "vitrine.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: vitrine
{{- with merge (deepCopy (default dict .extra)) .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What never changes of a pod, so that selectors may use it. Takes: root, component (or nothing for all of them). */}}
{{- define "vitrine.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vitrine.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "vitrine.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "vitrine.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Whose rights a component has: the key of `serviceAccount.components`. */}}
{{- define "vitrine.roles" -}}
catalogue: catalogue
relay: catalogue
writer: catalogue
monitor: catalogue
trash: catalogue
test: catalogue
worker: worker
worker-interactive: worker
model-server: modelServer
controller: controller
mlflow: mlflow
backup: backup
backup-check: backup
integrity: backup
restore: restore
{{- end }}

{{/*
The account of a component: its own where it has annotations of its own, else that of all. A restore brings one of its own
along in any case, for there may be no release yet. Takes: root, component.
*/}}
{{- define "vitrine.accountOf" -}}
{{- $role := get (include "vitrine.roles" .root | fromYaml) .component }}
{{- $account := include "vitrine.serviceAccountName" .root }}
{{- $annotations := (index .root.Values.serviceAccount.components $role).annotations }}
{{- if and .root.Values.serviceAccount.create (or $annotations (eq $role "restore")) }}
{{- $account = printf "%s-%s" $account (kebabcase $role) }}
{{- end }}
{{- $account }}
{{- end }}

{{/* Reference of an image. Takes: root, image (a key of `images`). A digest says more than a tag, and goes before it. */}}
{{- define "vitrine.image" -}}
{{- $image := index .root.Values.images .image }}
{{- $registry := ternary $image.registry .root.Values.images.registry (hasKey $image "registry") }}
{{- $name := ternary $image.repository (printf "%s/%s" $registry $image.repository) (empty $registry) }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- $gpu := and (eq .image "modelServer") .root.Values.modelServer.gpu.enabled }}
{{- printf "%s:%s%s" $name (default .root.Chart.AppVersion $image.tag) (ternary "-gpu" "" $gpu) }}
{{- end }}
{{- end }}

{{/* Where workers, controller and doctor find the model servers: every one of them, for the Service has no address of its own. */}}
{{- define "vitrine.modelServers" -}}
{{- printf "%s-model-server:8500" (include "vitrine.fullname" .) }}
{{- end }}

{{/* Where other pods of this release find the site. */}}
{{- define "vitrine.catalogueUrl" -}}
{{- printf "http://%s-catalogue:%d" (include "vitrine.fullname" .) (int .Values.catalogue.service.port) }}
{{- end }}

{{/* The registry of models, or nothing. */}}
{{- define "vitrine.mlflowUrl" -}}
{{- if .Values.mlflow.enabled }}
{{- printf "http://%s-mlflow:5000" (include "vitrine.fullname" .) }}
{{- else }}
{{- .Values.mlflow.trackingUri }}
{{- end }}
{{- end }}
