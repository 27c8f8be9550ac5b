{{/* Who says how many workers there are: keda, hpa or none. By itself KEDA, where the cluster has it. */}}
{{- define "vitrine.workers.scaling" -}}
{{- $mode := .Values.worker.autoscaling.mode }}
{{- if eq $mode "auto" }}
{{- ternary "keda" "hpa" (.Capabilities.APIVersions.Has "keda.sh/v1alpha1/ScaledObject") }}
{{- else }}
{{- $mode }}
{{- end }}
{{- end }}

{{/*
A Deployment of workers. Takes: root, component, values, queues (a list), replicas (absent: an autoscaler says it).

Pods of an update overlap: a worker that is told to go takes nothing more, answers what it holds, and whatever is left goes back
to the queue. That takes shutdownDeadlineSeconds and two seconds more at the latest; ten more and Kubernetes kills it.
*/}}
{{- define "vitrine.workers" -}}
{{- $worker := .root.Values.worker }}
{{- $env := list
  (dict "name" "VITRINE_QUEUES" "value" (join "," .queues))
  (dict "name" "VITRINE_BATCH_SIZE" "value" (toString (int $worker.batchSize)))
  (dict "name" "VITRINE_SHUTDOWN_DEADLINE_S" "value" (toString (int $worker.shutdownDeadlineSeconds)))
}}
{{- with $worker.decodeThreads }}
{{- $env = append $env (dict "name" "VITRINE_DECODE_THREADS" "value" (toString (int .))) }}
{{- end }}
{{- include "vitrine.deployment" (dict
  "root" .root "component" .component "image" "worker" "values" .values
  "replicas" .replicas
  "strategy" (dict "maxUnavailable" 0 "maxSurge" "25%")
  "env" (toYaml $env)
  "grace" (add $worker.shutdownDeadlineSeconds 10)
) }}
{{- end }}
