{{/* Values that the schema lets through and that make no sense together: one sentence each says what to change. */}}
{{- define "vitrine.checks" -}}
{{- $values := .Values }}
{{- if and (empty $values.blobs.url) (empty $values.blobs.existingClaim) }}
{{- fail "blobs: nobody says where the pictures lie. Set blobs.url to s3://BUCKET/PREFIX, or blobs.existingClaim to a claim that several nodes may mount." }}
{{- end }}
{{- if and $values.blobs.url $values.blobs.existingClaim }}
{{- fail "blobs: the pictures lie in one place. Set blobs.url or blobs.existingClaim, and the other to \"\"." }}
{{- end }}
{{- if and (empty $values.models.source.url) (empty $values.models.source.existingClaim) }}
{{- fail "models.source: the model servers need a place to take models from. Set models.source.url to s3://BUCKET/PREFIX, or models.source.existingClaim to a claim." }}
{{- end }}
{{- if and $values.models.source.url $values.models.source.existingClaim }}
{{- fail "models.source: models come from one place. Set models.source.url or models.source.existingClaim, and the other to \"\"." }}
{{- end }}
{{- with $values.backup }}
{{- if and (or .enabled $values.restore.enabled) (empty .to) (empty .persistentVolumeClaim) }}
{{- fail "backup: nobody says where backups go. Set backup.to to s3://BUCKET/PREFIX, or backup.persistentVolumeClaim to a claim." }}
{{- end }}
{{- if and .to .persistentVolumeClaim }}
{{- fail "backup: backups go to one place. Set backup.to or backup.persistentVolumeClaim, and the other to \"\"." }}
{{- end }}
{{- if and .to (hasPrefix (printf "%s/" (trimSuffix "/" $values.blobs.url)) (printf "%s/" (trimSuffix "/" .to))) }}
{{- fail "backup.to: it lies within blobs.url, so whatever destroys the pictures destroys their backups. Set it to another bucket, or to another prefix at least." }}
{{- end }}
{{- if and .persistentVolumeClaim (eq .persistentVolumeClaim $values.blobs.existingClaim) }}
{{- fail "backup.persistentVolumeClaim: it is the claim of the pictures. Set it to another one." }}
{{- end }}
{{- if and .alert.enabled (not .enabled) }}
{{- fail "backup.alert.enabled: there is no backup to be missed. Set backup.enabled." }}
{{- end }}
{{- end }}
{{- range $name := list "database" "broker" "objectStore" }}
{{- $ca := (index $values $name).ca }}
{{- if and $ca.configMap $ca.secret }}
{{- fail (printf "%s.ca: certificates come from a ConfigMap or from a Secret. Set one of configMap and secret." $name) }}
{{- end }}
{{- end }}
{{- if and $values.mlflow.enabled $values.mlflow.trackingUri }}
{{- fail "mlflow: either the chart runs it (mlflow.enabled) or it is elsewhere (mlflow.trackingUri). Set one of them." }}
{{- end }}
{{- if and $values.mlflow.enabled (empty $values.mlflow.artifacts.url) }}
{{- fail "mlflow.artifacts.url: MLflow needs a bucket for what models are made of. Set it to s3://BUCKET/PREFIX." }}
{{- end }}
{{- if and $values.mlflow.enabled (empty $values.mlflow.backend.uri) }}
{{- fail "mlflow.backend.uri: MLflow needs a database of its own. Set it to postgresql+psycopg://USER@HOST:5432/mlflow, without a password." }}
{{- end }}
{{- if and $values.catalogue.ingress.enabled (empty $values.site.hosts) }}
{{- fail "site.hosts: an Ingress needs the names under which people open the site." }}
{{- end }}
{{- range $name := list "worker" "beat" }}
{{- if (index $values.chores $name).enabled }}
{{- fail (printf "chores.%s: this version of Vitrine has no Celery %s; the place is kept for it. Set chores.%s.enabled to false." $name $name $name) }}
{{- end }}
{{- end }}
{{- range $name, $scaling := dict "catalogue" $values.catalogue.autoscaling "worker" $values.worker.autoscaling "modelServer" $values.modelServer.autoscaling }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- fail (printf "%s.autoscaling: minReplicas is %d and maxReplicas %d; at least cannot be more than at most." $name (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- end }}
{{- end }}
{{- with $values.worker }}
{{- if and (ne (include "vitrine.workers.scaling" $) "keda") (lt (int .autoscaling.minReplicas) 1) }}
{{- fail "worker.autoscaling.minReplicas: only KEDA starts a worker for a queue that nobody reads. This cluster has no KEDA, or mode says not to use it: set mode to keda, or minReplicas to 1 or more." }}
{{- end }}
{{- if and (eq (include "vitrine.workers.scaling" $) "keda") (not (or (has "tagging.interactive" .queues) (has "tagging.bulk" .queues))) }}
{{- fail "worker.queues: KEDA scales by the length of tagging.interactive and tagging.bulk. Name one of them, or set worker.autoscaling.mode to none." }}
{{- end }}
{{- end }}
{{- with $values.catalogue }}
{{- if le (int .terminationGracePeriodSeconds) (int .preStopSleepSeconds) }}
{{- fail "catalogue.terminationGracePeriodSeconds: it contains preStopSleepSeconds, so it has to be more." }}
{{- end }}
{{- end }}
{{- with $values.modelServer }}
{{- if le (int .terminationGracePeriodSeconds) (int .preStopSleepSeconds) }}
{{- fail "modelServer.terminationGracePeriodSeconds: it contains preStopSleepSeconds, so it has to be more." }}
{{- end }}
{{- end }}
{{- end }}
