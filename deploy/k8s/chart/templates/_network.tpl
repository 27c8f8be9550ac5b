{{/*
What a component may reach, by what it needs. Takes: root, component. Gives the rules of `egress`.
*/}}
{{- define "vitrine.egress" -}}
{{- $policy := .root.Values.networkPolicy }}
{{- $needs := index (include "vitrine.needs" .root | fromYaml) .component }}
{{- include "vitrine.egress.one" (dict "to" $policy.egress.dns.to "ports" $policy.egress.dns.ports "udp" true) | nindent 0 }}
{{- if or (has "database" $needs) (has "mlflow-database" $needs) }}
{{- include "vitrine.egress.one" $policy.egress.database | nindent 0 }}
{{- end }}
{{- if has "broker" $needs }}
{{- include "vitrine.egress.one" $policy.egress.broker | nindent 0 }}
{{- end }}
{{- if include "vitrine.usesObjectStore" . }}
{{- include "vitrine.egress.one" (dict "to" $policy.egress.objectStore.to "ports" (include "vitrine.objectStorePorts" .root | fromYamlArray)) | nindent 0 }}
{{- end }}
{{- if and (has "backups" $needs) (hasPrefix "s3://" .root.Values.backup.to) }}
{{- $endpoint := default .root.Values.objectStore.endpoint .root.Values.backup.objectStore.endpoint | default "https://s3.amazonaws.com" }}
{{- include "vitrine.egress.one" (dict "to" $policy.egress.backups.to "ports" (include "vitrine.portsOf" (dict "ports" $policy.egress.backups.ports "url" $endpoint) | fromYamlArray)) | nindent 0 }}
{{- end }}
{{- if has "model-server" $needs }}
{{- include "vitrine.egress.pods" (dict "root" .root "component" "model-server" "port" 8500) | nindent 0 }}
{{- end }}
{{- if has "catalogue" $needs }}
{{- include "vitrine.egress.pods" (dict "root" .root "component" "catalogue" "port" 8000) | nindent 0 }}
{{- end }}
{{- if has "mlflow" $needs }}
{{- if .root.Values.mlflow.enabled }}
{{- include "vitrine.egress.pods" (dict "root" .root "component" "mlflow" "port" 5000) | nindent 0 }}
{{- else if .root.Values.mlflow.trackingUri }}
{{- include "vitrine.egress.one" (dict "to" $policy.egress.mlflow.to "ports" (include "vitrine.portsOf" (dict "ports" $policy.egress.mlflow.ports "url" .root.Values.mlflow.trackingUri) | fromYamlArray)) | nindent 0 }}
{{- end }}
{{- end }}
{{- with $policy.extraEgress }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{/* Takes: to (peers; none of them: any address), ports, udp (as well). */}}
{{- define "vitrine.egress.one" -}}
- ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- if $.udp }}
    - {protocol: UDP, port: {{ . }}}
    {{- end }}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Takes: root, component, port. */}}
{{- define "vitrine.egress.pods" -}}
- ports:
    - {protocol: TCP, port: {{ .port }}}
  to:
    - podSelector:
        matchLabels:
          {{- include "vitrine.selectorLabels" . | nindent 10 }}
{{- end }}

{{/* The given ports, or the one of an address. Takes: ports, url. */}}
{{- define "vitrine.portsOf" -}}
{{- if .ports }}
{{- toYaml .ports }}
{{- else }}
{{- $url := urlParse .url }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) }}
{{- printf "- %s" (default (ternary "80" "443" (eq $url.scheme "http")) $port) }}
{{- end }}
{{- end }}

{{- define "vitrine.objectStorePorts" -}}
{{- include "vitrine.portsOf" (dict "ports" .Values.networkPolicy.egress.objectStore.ports "url" (default "https://s3.amazonaws.com" .Values.objectStore.endpoint)) }}
{{- end }}
