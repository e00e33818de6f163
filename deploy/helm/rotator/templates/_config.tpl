{{/* "true" if leader election is on; auto is on in a cluster. */}}
{{- define "rotator.lease" -}}
{{- if ne (dig "enabled" true (default dict .Values.config.leader_election) | toString) "false" -}}true{{- end -}}
{{- end -}}

{{/*
"true" if every running pod of the Deployment in the cluster uses the lease too, or if there is no Deployment. The mounted
token shows it. If the lease has just been turned on, the running pods do not use it, and a new pod must not start beside
them; the same holds while such a change is in progress (with Recreate, a new pod is created after the old ones have ended),
or if somebody may have turned the lease off by an environment variable.
*/}}
{{- define "rotator.leaseWas" -}}
{{- $foreign := include "rotator.foreignSettings" . | fromJsonArray -}}
{{- $live := include "rotator.live" (dict "root" . "name" (include "rotator.fullname" .)) | fromJson -}}
{{- with $live -}}
{{- $volumes := list -}}
{{- range dig "spec" "template" "spec" "volumes" list . -}}{{- $volumes = append $volumes .name -}}{{- end -}}
{{- $seen := eq (dig "metadata" "generation" 0 . | int) (dig "status" "observedGeneration" 0 . | int) -}}
{{- $stepped := and $seen (gt (dig "status" "updatedReplicas" 0 . | int) 0) -}}
{{- $rolls := ne (dig "spec" "strategy" "type" "" .) "Recreate" -}}
{{- if and (has "kubernetes" $volumes) (or $rolls $stepped) (not (has "ROTATOR_LEADER_ELECTION__ENABLED" $foreign)) -}}
true
{{- end -}}
{{- else -}}
true
{{- end -}}
{{- end -}}

{{- define "rotator.port" -}}
{{- dig "http" "port" 9464 .Values.config | int -}}
{{- end -}}

{{/* The configuration of the daemon. */}}
{{- define "rotator.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if include "rotator.lease" . -}}
{{- $_ := set $config "leader_election" (merge (dict "enabled" true "lease_name" (include "rotator.fullname" .)) (default dict $config.leader_election)) -}}
{{- else -}}
{{- $_ := set $config "leader_election" (dict "enabled" false) -}}
{{- end -}}
{{ toYaml $config }}
{{- end -}}

{{/* The configuration of the dry run: the same, but with its own credentials. */}}
{{- define "rotator.dryRunConfig" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "leader_election" (dict "enabled" false) -}}
{{- range $config.tenants -}}
{{- $_ := set . "credential" (get $.Values.dryRun.credentials .name) -}}
{{- end -}}
{{ toYaml $config }}
{{- end -}}

{{/* The settings that a reload does not change: if they change, the pods are replaced. */}}
{{- define "rotator.restart" -}}
{{- $config := include "rotator.config" . | fromYaml -}}
{{- pick $config "log" "http" "concurrency" "leader_election" | toJson | sha256sum -}}
{{- end -}}

{{/* A span such as 1h30m in seconds. */}}
{{- define "rotator.seconds" -}}
{{- $factors := dict "w" 604800 "d" 86400 "h" 3600 "m" 60 "s" 1 -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9]+[wdhms]" . -1 -}}
{{- $seconds = add $seconds (mul (trimAll "wdhms" . | atoi) (get $factors (regexFind "[wdhms]" .))) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/*
The maximum time for a pod to stop, with a reserve: the request in progress, up to 17 more requests of 4 s each (to see the
new key, to enable it, and to get a new token after each refusal), and 15 s to release the lease.
*/}}
{{- define "rotator.longestStop" -}}
{{- add 90 (include "rotator.seconds" (default "30s" .Values.config.request_timeout)) -}}
{{- end -}}
