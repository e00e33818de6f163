{{- define "rotator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/*
At most 40 letters: with -dry-run and what a Job adds it must stay below what the name of a pod may have. Where it is cut, a
hash of the whole stands for the rest, so that two long names never become one.
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

{{/* The account of the daemon. */}}
{{- define "rotator.account" -}}
{{- default (include "rotator.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "rotator.dryRunAccount" -}}
{{- default (include "rotator.dryRunName" .) .Values.dryRun.serviceAccount.name -}}
{{- end -}}

{{/* What never changes for a release, so it may select. */}}
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

{{/* The same, with "more" of them, which go before those of .Values.labels and .Values.commonLabels. */}}
{{- define "rotator.moreLabels" -}}
{{- merge (deepCopy .more) (include "rotator.labels" .root | fromYaml) | toYaml -}}
{{- end -}}

{{/* Annotations of an object: "more", which go before those of .Values.commonAnnotations. Empty where there are none. */}}
{{- define "rotator.annotations" -}}
{{- with merge (deepCopy (default dict .more)) .root.Values.commonAnnotations -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* The Deployment as the cluster has it, as JSON; {} where there is none, or no cluster is asked, as by helm template. */}}
{{- define "rotator.live" -}}
{{- lookup "apps/v1" "Deployment" .Release.Namespace (include "rotator.fullname" .) | toJson -}}
{{- end -}}

{{/*
The settings among the variables of the live Deployment, as a JSON array of names. The chart sets none: somebody has used
kubectl set env. Helm does not own them, so no upgrade takes them away.
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
