{{/*
A CronJob of one container of the catalogue's image. Takes: root, component, values (of the component), args, tmpSize (optional).

Never two at once: the second would do what the first is doing. What fails is tried again by a new pod, so that the log of the
one before can be read.
*/}}
{{- define "vitrine.cronjob" -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "vitrine.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "vitrine.labels" . | nindent 4 }}
spec:
  schedule: {{ .values.schedule | quote }}
  {{- with .values.timeZone }}
  timeZone: {{ . }}
  {{- end }}
  suspend: {{ .values.suspend }}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: {{ .values.startingDeadlineSeconds }}
  successfulJobsHistoryLimit: {{ .values.successfulJobsHistoryLimit }}
  failedJobsHistoryLimit: {{ .values.failedJobsHistoryLimit }}
  jobTemplate:
    metadata:
      labels:
        {{- include "vitrine.labels" . | nindent 8 }}
    spec:
      {{- include "vitrine.job" . | trim | nindent 6 }}
{{- end }}

{{/* What a Job of one pod does. Takes the same. */}}
{{- define "vitrine.job" -}}
parallelism: 1
completions: 1
backoffLimit: {{ .values.backoffLimit }}
activeDeadlineSeconds: {{ .values.activeDeadlineSeconds }}
podFailurePolicy:
  rules:
    # Wrong use and wrong settings, which another attempt would not mend.
    - action: FailJob
      onExitCodes: {operator: In, values: [2, 64]}
    # Its node was emptied: that is no attempt.
    - action: Ignore
      onPodConditions:
        - {type: DisruptionTarget, status: "True"}
template:
  metadata:
    {{- include "vitrine.pod.metadata" . | nindent 4 }}
  spec:
    restartPolicy: Never
    {{- include "vitrine.pod.settings" (merge (dict "grace" .values.terminationGracePeriodSeconds) .) | trim | nindent 4 }}
    containers:
      - name: {{ .component }}
        image: {{ include "vitrine.image" (dict "root" .root "image" "catalogue") | quote }}
        imagePullPolicy: {{ .root.Values.images.pullPolicy }}
        args:
          {{- toYaml .args | nindent 10 }}
        {{- include "vitrine.container" . | trim | nindent 8 }}
    volumes:
      {{- include "vitrine.volumes" . | trim | nindent 6 }}
{{- end }}
