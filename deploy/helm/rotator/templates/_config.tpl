{{/* "true" where there is a lease; auto is on in a cluster. */}}
{{- define "rotator.lease" -}}
{{- if ne (dig "enabled" true (default dict .Values.config.leader_election) | toString) "false" -}}true{{- end -}}
{{- end -}}

{{/*
"true" where every pod that runs now, of the Deployment in the cluster, has the lease too, or there is no Deployment. Told by
what is mounted for it: where the lease has just been turned on they haven't, and a new one may not start beside them. Nor
where that step is still under way: by Recreate, a pod of the new kind is made only when those of the old kind are gone. Nor
where a variable that somebody has set may have turned it off.
*/}}
{{- define "rotator.leaseWas" -}}
{{- $foreign := include "rotator.foreignSettings" . | fromJsonArray -}}
{{- $live := include "rotator.live" . | fromJson -}}
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

{{/* Of the daemon. */}}
{{- define "rotator.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if include "rotator.lease" . -}}
{{- $_ := set $config "leader_election" (merge (dict "enabled" true "lease_name" (include "rotator.fullname" .)) (default dict $config.leader_election)) -}}
{{- else -}}
{{- $_ := set $config "leader_election" (dict "enabled" false) -}}
{{- end -}}
{{ toYaml $config }}
{{- end -}}

{{/* Of the dry run: the same, but for who it is. */}}
{{- define "rotator.dryRunConfig" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "leader_election" (dict "enabled" false) -}}
{{- range $config.tenants -}}
{{- $_ := set . "credential" (get $.Values.dryRun.credentials .name) -}}
{{- end -}}
{{ toYaml $config }}
{{- end -}}

{{/* What a running daemon does not take from a changed file: the pods are replaced. */}}
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
The longest that a pod can take to stop, with room to spare: the request that is under way, up to 17 more of 4 s each, which
it takes to see the new key, to enable it, and for a new token after each refusal, and 15 s to hand the lease over.
*/}}
{{- define "rotator.longestStop" -}}
{{- add 90 (include "rotator.seconds" (default "30s" .Values.config.request_timeout)) -}}
{{- end -}}
