{{- define "rotator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/*
At most 40 characters: with -dry-run and the suffix of a Job it must be a valid name of a pod. A longer name is cut, and ends
with a hash of the whole name, so that two long names stay different.
*/}}
{{- define "rotator.fullname" -}}
{{- $name := include "rotator.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride -}}
{{- if gt (len $full) 40 -}}
{{- $full = printf "%s-%s" ($full | trunc 31 | trimSuffix "-") ($full | sha256sum | trunc 8) -}}
{{- end -}}
{{- $full -}}
{{- end -}}

{{- define "rotator.dryRunName" -}}
{{ include "rotator.fullname" . }}-dry-run
{{- end -}}

{{/* The name of an object of one shard; "name" is that without shards, "shard" counts from 0. */}}
{{- define "rotator.shardName" -}}
{{- ternary .name (printf "%s-%d" .name .shard) (eq (int .root.Values.shards) 1) -}}
{{- end -}}

{{/* The names of the Deployments, which are also those of the Leases; a JSON array. */}}
{{- define "rotator.daemons" -}}
{{- $names := list -}}
{{- range $shard := until (int .Values.shards) -}}
{{- $names = append $names (include "rotator.shardName" (dict "root" $ "name" (include "rotator.fullname" $) "shard" $shard)) -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* The name of the daemon's ServiceAccount. */}}
{{- define "rotator.account" -}}
{{- default (include "rotator.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "rotator.dryRunAccount" -}}
{{- default (include "rotator.dryRunName" .) .Values.dryRun.serviceAccount.name -}}
{{- end -}}

{{/* The selector labels, which never change for a release. */}}
{{- define "rotator.selector" -}}
app.kubernetes.io/name: {{ include "rotator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "rotator.daemonSelector" -}}
{{ include "rotator.selector" . }}
app.kubernetes.io/component: daemon
{{- end -}}

{{/* The label of a shard, for "root" and "shard"; empty if there is one shard. */}}
{{- define "rotator.shardLabel" -}}
{{- if gt (int .root.Values.shards) 1 -}}
rotator-shard: {{ .shard | quote }}
{{- end -}}
{{- end -}}

{{/* The selector labels of the pods of one shard, for "root" and "shard". */}}
{{- define "rotator.shardSelector" -}}
{{ include "rotator.daemonSelector" .root }}
{{- with include "rotator.shardLabel" . }}
{{ . }}
{{- end }}
{{- end -}}

{{- define "rotator.labels" -}}
{{ include "rotator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- with merge (deepCopy .Values.labels) .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The same with "more", which override .Values.labels and .Values.commonLabels. */}}
{{- define "rotator.moreLabels" -}}
{{- merge (deepCopy .more) (include "rotator.labels" .root | fromYaml) | toYaml -}}
{{- end -}}

{{/* Annotations of an object: "more", which override .Values.commonAnnotations. Empty if there are none. */}}
{{- define "rotator.annotations" -}}
{{- with merge (deepCopy (default dict .more)) .root.Values.commonAnnotations -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* The Deployment "name" in the cluster, as JSON; {} if there is none, or without a cluster, as in helm template. */}}
{{- define "rotator.live" -}}
{{- lookup "apps/v1" "Deployment" .root.Release.Namespace .name | toJson -}}
{{- end -}}

{{/*
The settings among the variables of the Deployments in the cluster, as a JSON array of names. The chart only sets those of the
shard, so somebody has used kubectl set env. Helm does not own them, so an upgrade does not remove them.
*/}}
{{- define "rotator.foreignSettings" -}}
{{- $names := list -}}
{{- $own := list "ROTATOR_CONFIG" "ROTATOR_SHARD__INDEX" "ROTATOR_SHARD__TOTAL" -}}
{{- range include "rotator.daemons" . | fromJsonArray -}}
{{- range dig "spec" "template" "spec" "containers" list (include "rotator.live" (dict "root" $ "name" .) | fromJson) -}}
{{- range .env -}}
{{- if and (hasPrefix "ROTATOR_" (upper .name)) (not (has .name $own)) -}}{{- $names = append $names .name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{- define "rotator.image" -}}
{{- $image := .Values.image -}}
{{- $tag := default .Chart.AppVersion $image.tag -}}
{{- ternary (printf "%s@%s" $image.repository $image.digest) (printf "%s:%s" $image.repository $tag) (ne $image.digest "") -}}
{{- end -}}
