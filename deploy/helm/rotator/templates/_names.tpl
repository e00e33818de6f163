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

{{/* The Deployment in the cluster, as JSON; {} if there is none, or without a cluster, as in helm template. */}}
{{- define "rotator.live" -}}
{{- lookup "apps/v1" "Deployment" .Release.Namespace (include "rotator.fullname" .) | toJson -}}
{{- end -}}

{{/*
The settings among the variables of the Deployment in the cluster, as a JSON array of names. The chart sets none of them, so
somebody has used kubectl set env. Helm does not own them, so an upgrade does not remove them.
*/}}
{{- define "rotator.foreignSettings" -}}
{{- $names := list -}}
{{- range dig "spec" "template" "spec" "containers" list (include "rotator.live" . | fromJson) -}}
{{- range .env -}}
{{- if and (hasPrefix "ROTATOR_" (upper .name)) (ne .name "ROTATOR_CONFIG") -}}{{- $names = append $names .name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{- define "rotator.image" -}}
{{- $image := .Values.image -}}
{{- $tag := default .Chart.AppVersion $image.tag -}}
{{- ternary (printf "%s@%s" $image.repository $image.digest) (printf "%s:%s" $image.repository $tag) (ne $image.digest "") -}}
{{- end -}}
