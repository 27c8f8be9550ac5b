{{/*
The Deployment of a process that is one container.

Takes: root, component, image (a key of `images`), values (of the component)
  replicas        absent: whoever scales it says how many (an autoscaler, or `kubectl scale`)
  strategy        maxSurge and maxUnavailable
  args            in place of the image's own command (optional)
  ports           more than the health port (optional)
  env             more variables (optional)
  grace           seconds from SIGTERM to SIGKILL
  preStop         seconds in which it still serves after it was told to go (optional)
  tmpSize         of /tmp (optional)
*/}}
{{- define "vitrine.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "vitrine.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "vitrine.labels" . | nindent 4 }}
spec:
  {{- if not (kindIs "invalid" .replicas) }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      {{- toYaml .strategy | nindent 6 }}
  selector:
    matchLabels:
      {{- include "vitrine.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      {{- include "vitrine.pod.metadata" . | nindent 6 }}
    spec:
      {{- include "vitrine.pod.settings" . | trim | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "vitrine.image" . | quote }}
          imagePullPolicy: {{ .root.Values.images.pullPolicy }}
          {{- with .args }}
          args: [{{ join ", " . }}]
          {{- end }}
          ports:
            {{- with .ports }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
            - {name: health, containerPort: 9464}
          {{- include "vitrine.probes" .values.probes | nindent 10 }}
          {{- with .preStop }}
          lifecycle:
            preStop:
              # Who routes to it needs a moment to hear that it goes; until then it answers.
              exec: {command: [sleep, {{ . | quote }}]}
          {{- end }}
          {{- include "vitrine.container" . | trim | nindent 10 }}
      volumes:
        {{- include "vitrine.volumes" . | trim | nindent 8 }}
{{- end }}
