package redact
import ("testing";"os";"path/filepath";"strings";"fmt";"io/fs")
func TestZZ(t *testing.T){
 r:=New(nil); n:=0; var total int64
 seen:=map[string]int{}
 filepath.WalkDir(os.Getenv("ZZ"),func(p string,d fs.DirEntry,err error)error{
  if err!=nil||d.IsDir(){return nil}
  if i,_:=d.Info(); i==nil||i.Size()>2<<20 {return nil}
  b,err:=os.ReadFile(p); if err!=nil{return nil}
  total+=int64(len(b))
  for _,l:=range strings.Split(string(b),"\n"){
   o:=r.String(l); if o!=l { n++; i:=strings.Index(o,markerOpen); k,_,_:=strings.Cut(o[i:],"]"); seen[k]++; if seen[k]<=12 {fmt.Printf("%s\n   - %.150q\n   + %.150q\n",p,l[max(0,i-60):],o[max(0,i-60):])}}
  }
  return nil})
 fmt.Println(n,total,seen)
}
