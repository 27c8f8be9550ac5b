{{/* Labels and annotations of a pod. Takes: root, component, values (of the component), checksum (of a ConfigMap; optional). */}}
{{- define "vitrine.pod.metadata" -}}
labels:
  {{- include "vitrine.podLabels" (dict "root" .root "component" .component "extra" .values.podLabels) | nindent 2 }}
{{- if or .values.podAnnotations .checksum }}
annotations:
  {{- with .checksum }}
  # A ConfigMap that changes restarts nothing by itself.
  checksum/config: {{ . }}
  {{- end }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What all pods have alike. Takes: root, component, values, serviceAccount (optional), grace (seconds; optional). */}}
{{- define "vitrine.pod.settings" -}}
{{- $values := .values }}
serviceAccountName: {{ .serviceAccount | default (include "vitrine.accountOf" .) }}
# Nothing of Vitrine speaks to Kubernetes.
automountServiceAccountToken: false
# Kubernetes would set VITRINE_CATALOGUE_PORT and others, after the names of our Services: our own prefix.
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .grace }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "vitrine.pod.spread" . }}
{{- end }}

{{/* Over nodes and zones. Takes: root, component, values. */}}
{{- define "vitrine.pod.spread" -}}
{{- $spread := .values.topologySpread | default dict }}
{{- if or $spread.hostname $spread.zone }}
topologySpreadConstraints:
  {{- range $name, $key := dict "hostname" "kubernetes.io/hostname" "zone" "topology.kubernetes.io/zone" }}
  {{- with index $spread $name }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ . }}
    labelSelector:
      matchLabels:
        {{- include "vitrine.selectorLabels" $ | nindent 8 }}
    # Counts the pods of one revision, so that an update is spread as well as what it replaces.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Of a process of Vitrine, on its health port. Takes: the probes of the values. */}}
{{- define "vitrine.probes" -}}
# It lives: the main loop makes steps, or the site has processes. An outage elsewhere does not end it; a restart would mend nothing.
startupProbe:
  httpGet: {path: /healthz, port: health}
  {{- toYaml .startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /healthz, port: health}
  {{- toYaml .liveness | nindent 2 }}
# What it depends on answers.
readinessProbe:
  httpGet: {path: /readyz, port: health}
  {{- toYaml .readiness | nindent 2 }}
{{- end }}

{{/* Variables, mounts, resources and rights of a container. Takes: root, component, values, env (more of them; optional). */}}
{{- define "vitrine.container" -}}
{{- $env := trim (printf "%s\n%s" (include "vitrine.environment" .) (default "" .env)) }}
{{- if or $env .values.extraEnv }}
env:
  {{- with $env }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
volumeMounts:
  {{- include "vitrine.mounts" . | nindent 2 }}
{{- end }}

{{/* Takes: root, component. */}}
{{- define "vitrine.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: home, mountPath: /var/lib/vitrine}
{{- if trim (include "vitrine.secrets.sources" .) }}
- {name: secrets, mountPath: /etc/vitrine/secrets, readOnly: true}
{{- end }}
{{- if include "vitrine.claim" . }}
{{- if eq .component "controller" }}
- {name: source, mountPath: /source}
{{- else if eq .component "model-server" }}
- {name: source, mountPath: /source, readOnly: true}
{{- else if has .component (list "backup" "backup-check" "integrity") }}
# They only read what they are there to save.
- {name: blobs, mountPath: /blobs, readOnly: true}
{{- else }}
- {name: blobs, mountPath: /blobs}
{{- end }}
{{- end }}
{{- if include "vitrine.claimOfBackups" . }}
- {name: backups, mountPath: /backups{{ if ne .component "backup" }}, readOnly: true{{ end }}}
{{- end }}
{{- end }}

{{/* Takes: root, component, tmpSize (optional). The root file system is read-only: what is written lies here, and ends with the pod. */}}
{{- define "vitrine.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ default "512Mi" .tmpSize }}}
- name: home
  emptyDir: {sizeLimit: {{ default "128Mi" .homeSize }}}
{{- with trim (include "vitrine.secrets.sources" .) }}
- name: secrets
  projected:
    # The group of the pod reads them, nobody else.
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- with include "vitrine.claim" . }}
- name: {{ ternary "source" "blobs" (has $.component (list "controller" "model-server")) }}
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- with include "vitrine.claimOfBackups" . }}
- name: backups
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- end }}
